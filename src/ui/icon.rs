//! The signs on buttons, drawn, so that they look the same whatever fonts a machine has.

use leptos::prelude::*;

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// To the beginning.
    Start,
    /// Back, or towards the left.
    Back,
    /// Forward, or play.
    Forward,
    /// Pause.
    Pause,
    /// To the end.
    End,
    /// To the next packet.
    Next,
    /// A lost packet.
    Lost,
    /// What happens now.
    Live,
    /// More.
    Plus,
    /// Less.
    Minus,
    /// All of it.
    Fit,
    /// Kept in sight.
    Follow,
    /// Take back.
    Undo,
    /// Do again.
    Redo,
    /// What was before.
    History,
    /// Fold towards the left.
    Left,
    /// Fold towards the right.
    Right,
    /// Fold upwards.
    Up,
    /// Fold downwards.
    Down,
}

impl Sign {
    /// Filled outline and stroked lines in a square of 16.
    fn paths(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("M13,3 V13 L5.5,8 Z", "M3.5,3 V13"),
            Self::Back => ("M12,3 V13 L4,8 Z", ""),
            Self::Forward => ("M4,3 V13 L12,8 Z", ""),
            Self::Pause => ("M4,3 H7 V13 H4 Z M9,3 H12 V13 H9 Z", ""),
            Self::End => ("M3,3 V13 L10.5,8 Z", "M12.5,3 V13"),
            Self::Next => ("", "M2,8 H11 M7.5,4 L11.5,8 L7.5,12 M14,3 V13"),
            Self::Lost => ("", "M4,4 L12,12 M12,4 L4,12"),
            Self::Live => ("M3.5,8 A4.5,4.5 0 1,1 12.5,8 A4.5,4.5 0 1,1 3.5,8 Z", ""),
            Self::Plus => ("", "M3,8 H13 M8,3 V13"),
            Self::Minus => ("", "M3,8 H13"),
            Self::Fit => ("", "M2.5,6 V2.5 H6 M10,2.5 H13.5 V6 M13.5,10 V13.5 H10 M6,13.5 H2.5 V10"),
            Self::Follow => (
                "M6.5,8 A1.5,1.5 0 1,1 9.5,8 A1.5,1.5 0 1,1 6.5,8 Z",
                "M3,8 A5,5 0 1,1 13,8 A5,5 0 1,1 3,8 M8,1 V4 M8,12 V15 M1,8 H4 M12,8 H15",
            ),
            Self::Undo => ("", "M5.5,2.5 L2.5,5.5 L5.5,8.5 M3,5.5 H9.5 A4,4 0 0,1 9.5,13.5 H6"),
            Self::Redo => ("", "M10.5,2.5 L13.5,5.5 L10.5,8.5 M13,5.5 H6.5 A4,4 0 0,0 6.5,13.5 H10"),
            Self::History => ("", "M8,4.5 V8 L10.5,9.5 M2.6,6.6 A5.6,5.6 0 1,1 2.6,9.4 M2.4,3.6 V6.8 H5.6"),
            Self::Left => ("", "M10,3 L5,8 L10,13"),
            Self::Right => ("", "M6,3 L11,8 L6,13"),
            Self::Up => ("", "M3,10 L8,5 L13,10"),
            Self::Down => ("", "M3,6 L8,11 L13,6"),
        }
    }
}

/// A sign as large as the text beside it. What it means is said in words next to it, or by the button's label.
#[component]
pub(super) fn Icon(sign: Sign) -> impl IntoView {
    let (filled, drawn) = sign.paths();
    view! {
        <svg class="sign" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path class="sign-filled" d=filled></path>
            <path class="sign-drawn" d=drawn></path>
        </svg>
    }
}
