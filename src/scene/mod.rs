//! From trace to picture, still without a screen: what stands where, what lights up at a moment, and how time plays.

pub mod capture;
pub mod chains;
pub mod conversation;
mod frame;
mod geometry;
mod history;
mod index;
mod layout;
pub mod lives;
mod look;
mod model;
mod node;
mod note;
mod outside;
pub mod packet;
mod playback;
mod pod;
mod ports;
pub mod questions;
mod reading;
pub mod rows;
#[cfg(test)]
mod sample;
mod score;
pub mod services;
pub mod tables;
#[cfg(test)]
mod tests;
mod title;
mod walk;
pub mod within;

pub use frame::{ASIDE, Burst, Decision, Frame, Moment, Token, TrailPiece, frame_at};
pub use geometry::{Point, Rect, along, length};
pub use history::History;
pub use index::{Index, steps, steps_from};
pub use layout::{LayoutOptions, layout};
pub use look::{Mark, PacketLook, Protocol, StepKind, is_quiet, look_of, step_kind};
pub use model::{Anchor, HookSlot, Label, LabelStyle, Scene, Shape, ShapeKind, Spot, Wire, WireKind};
pub use note::{Note, NoteLine, table_slug};
pub use playback::{Pace, Playback};
pub use score::{Line, Score, ScoreMark, netns_of_step, place_name, score, shortened};
pub use title::{packet_title, tunnel_name};
pub use walk::Direction;
