//! What the stage, the timeline and the inspector have in common: everything that follows from the lab and the
//! playhead, worked out once a step.

use crate::base::words::Lang;
use crate::base::{EventId, NetnsId};
use crate::lab::Lab;
use crate::scene::conversation::Conversations;
use crate::scene::lives::Lives;
use crate::scene::questions::Questions;
use crate::scene::within::Uses;
use crate::scene::{
    self, Frame, History, Index, LayoutOptions, Moment, PacketLook, Protocol, Scene, StepKind,
};
use crate::trace::{Inventory, Surroundings, Trace, explain};
use crate::ui::{Selection, Theme, Ui};
use leptos::prelude::*;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

/// Events that are taken in at once while more happens than can be shown.
const AT_ONCE: usize = 4_000;

/// A value handed around by reference; the same only if it is the very same.
#[derive(Debug)]
pub(in crate::ui) struct Shared<T>(Arc<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Shared<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

/// What is hidden from the timeline: a protocol, tunnelled packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ui) struct Filter {
    pub(in crate::ui) hidden: BTreeSet<Protocol>,
    pub(in crate::ui) tunnel_hidden: bool,
}

impl Filter {
    fn lets_look(&self, look: PacketLook) -> bool {
        let by_tunnel = self.tunnel_hidden && look.tunnel.is_some();
        !by_tunnel && !self.hidden.contains(&look.protocol)
    }

    fn lets(&self, kind: StepKind) -> bool {
        match kind {
            StepKind::Packet(look) => self.lets_look(look),
            StepKind::Drop(..)
            | StepKind::Pod(_)
            | StepKind::Process
            | StepKind::Within
            | StepKind::Fault(_) => true,
        }
    }
}

/// How the events are shown below the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum TimeTab {
    /// A score of all places.
    Score,
    /// A table.
    List,
    /// A ladder of all places.
    Ladder,
    /// One TCP conversation.
    Tcp,
    /// What a capture on an interface says.
    Capture,
}

/// Where a capture listens: the names of a namespace and of an interface in it, `any` where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ui) struct TapChoice {
    pub(in crate::ui) netns: String,
    pub(in crate::ui) ifname: Option<String>,
}

/// The view of the lab at the playhead.
#[derive(Clone, Copy)]
pub struct Show {
    pub(in crate::ui) ui: Ui,
    index: StoredValue<Index, LocalStorage>,
    /// The step shown.
    pub(in crate::ui) at: Memo<usize>,
    /// Number of steps.
    pub(in crate::ui) count: Memo<usize>,
    /// The event shown.
    pub(in crate::ui) event: Memo<Option<EventId>>,
    /// The tables at the step shown.
    pub(in crate::ui) tables: Memo<Shared<Inventory>>,
    /// The tables one step before, for what the step changed.
    pub(in crate::ui) earlier: Memo<Shared<Inventory>>,
    /// Where everything stands.
    pub(in crate::ui) scene: Memo<Arc<Scene>>,
    /// What is on it.
    pub(in crate::ui) frame: Memo<Shared<Frame>>,
    /// Whether the stage is too narrow for wide Pods.
    pub(in crate::ui) compact: RwSignal<bool>,
    more: StoredValue<More, LocalStorage>,
}

/// What only some views need.
struct More {
    filter: RwSignal<Filter>,
    room: RwSignal<i32>,
    time_tab: RwSignal<TimeTab>,
    tap: RwSignal<TapChoice>,
    conversations: Conversations,
    lives: Lives,
    questions: Questions,
    uses: Uses,
    around: History<Surroundings>,
    /// The tables at the step shown and at the one before.
    histories: [History; 2],
}

impl More {
    fn new() -> Self {
        Self {
            filter: RwSignal::new(Filter::default()),
            room: RwSignal::new(0),
            time_tab: RwSignal::new(TimeTab::Score),
            tap: RwSignal::new(TapChoice::default()),
            conversations: Conversations::default(),
            lives: Lives::default(),
            questions: Questions::default(),
            uses: Uses::default(),
            around: History::default(),
            histories: <[History; 2]>::default(),
        }
    }
}

impl Show {
    /// Builds the view; to be handed down as a context of the whole page.
    pub fn new(ui: Ui) -> Self {
        let index = StoredValue::new_local(Index::default());
        let (compact, more) = (RwSignal::new(false), More::new());
        let room = more.room;
        let more = StoredValue::new_local(more);
        let at = Memo::new(move |_| ui.playback.with(|play| play.at));
        let count = Memo::new(move |_| ui.playback.with(|play| play.steps.len()));
        let event = Memo::new(move |_| ui.playback.with(scene::Playback::event));
        let tables = Memo::new(move |_| {
            ui.version.track();
            let (at, end) = (at.get(), at.get() + 1 >= count.get());
            ui.lab.with_value(|lab| {
                let trace = lab.trace();
                index.update_value(|index| index.extend(trace));
                let steps = ui.playback.with_untracked(|play| play.steps.clone());
                let horizon = index.with_value(|index| index.horizon(trace, &steps, at));
                let upto = horizon.filter(|_| !end).map_or(trace.len(), |event| event.index() + 1);
                let mut tables = None;
                more.update_value(|more| tables = Some(more.histories[0].at(trace, upto)));
                Shared(tables.unwrap_or_default())
            })
        });
        // It has a history of its own, so that both are folded forward as time goes on.
        let earlier = Memo::new(move |_| {
            ui.version.track();
            let before = at.get().checked_sub(1);
            ui.lab.with_value(|lab| {
                let trace = lab.trace();
                index.update_value(|index| index.extend(trace));
                let steps = ui.playback.with_untracked(|play| play.steps.clone());
                let horizon =
                    before.and_then(|before| index.with_value(|index| index.horizon(trace, &steps, before)));
                let mut tables = None;
                let upto = horizon.map_or(0, |event| event.index() + 1);
                more.update_value(|more| tables = Some(more.histories[1].at(trace, upto)));
                Shared(tables.unwrap_or_default())
            })
        });
        let focus = Memo::new(move |_| {
            ui.version.track();
            ui.lab.with_value(|lab| busy_places(lab.trace()))
        });
        let scene = Memo::new(move |_| {
            let text = if ui.theme.get() == Theme::Projector { 20 } else { 14 };
            let (lang, compact, room) = (ui.lang.get(), compact.get(), room.get());
            let options = LayoutOptions { lang, text, compact, room, focus: focus.get() };
            Arc::new(tables.with(|tables| scene::layout(tables, &options)))
        });
        let frame = Memo::new(move |_| {
            let (at, tables, scene, lang) = (at.get(), tables.get(), scene.get(), ui.lang.get());
            let steps = ui.playback.with_untracked(|play| play.steps.clone());
            ui.lab.with_value(|lab| {
                index.with_value(|index| {
                    let moment = Moment { trace: lab.trace(), index, steps: &steps, at, lang };
                    Shared::from(scene::frame_at(&scene, &tables, moment))
                })
            })
        });
        let show = Self { ui, index, at, count, event, tables, earlier, scene, frame, compact, more };
        show.keep_filtered();
        show
    }

    /// Takes in more of the trace for the moment when its end is shown.
    pub(in crate::ui) fn keep_up(self) {
        self.ui.lab.with_value(|lab| {
            let trace = lab.trace();
            self.more.update_value(|more| {
                for history in &mut more.histories {
                    let upto = history.upto() + AT_ONCE;
                    history.at(trace, upto);
                }
            });
        });
    }

    /// Keeps the steps played in accord with the filter as the trace grows.
    fn keep_filtered(self) {
        let (Self { ui, index, .. }, filter) = (self, self.filter());
        Effect::new(move || {
            ui.version.track();
            let filter = filter.get();
            let wanted = ui.lab.with_value(|lab| {
                index.update_value(|index| index.extend(lab.trace()));
                index.with_value(|index| index.filtered(lab.trace(), |kind| filter.lets(kind)))
            });
            if ui.playback.with_untracked(|play| play.steps != wanted) {
                ui.playback.update(|play| play.replace(wanted));
            }
        });
    }

    /// Position of the playhead in steps; between steps only where motion is wanted.
    pub(in crate::ui) fn position(self) -> f64 {
        if self.ui.reduced_motion.get() {
            // Read where it is written: by way of the memo, what draws each frame misses steps while it plays.
            self.ui.playback.with(|play| play.at) as f64
        } else {
            self.ui.playback.with(scene::Playback::position)
        }
    }

    /// Reads the trace.
    pub(in crate::ui) fn with_trace<R>(self, read: impl FnOnce(&Trace) -> R) -> R {
        self.ui.lab.with_value(|lab: &Lab| read(lab.trace()))
    }

    /// Reads something that is kept beside the trace, after it has taken in what is new there.
    fn kept<R>(self, extend: impl FnOnce(&mut More, &Trace), read: impl FnOnce(&More, &Trace) -> R) -> R {
        self.ui.version.track();
        self.ui.lab.with_value(|lab| {
            self.more.update_value(|more| extend(more, lab.trace()));
            self.more.with_value(|more| read(more, lab.trace()))
        })
    }

    /// Reads the TCP conversations of the trace as it is now. Inside a view it follows the trace.
    pub(in crate::ui) fn with_conversations<R>(self, read: impl FnOnce(&Conversations) -> R) -> R {
        self.kept(|more, trace| more.conversations.extend(trace), |more, _| read(&more.conversations))
    }

    /// Reads the questions to DNS servers. Inside a view it follows the trace.
    pub(in crate::ui) fn with_questions<R>(self, read: impl FnOnce(&Questions) -> R) -> R {
        self.kept(|more, trace| more.questions.extend(trace), |more, _| read(&more.questions))
    }

    /// Reads the lives of the Pods. Inside a view it follows the trace.
    pub(in crate::ui) fn with_lives<R>(self, read: impl FnOnce(&Lives) -> R) -> R {
        self.kept(|more, trace| more.lives.extend(trace), |more, _| read(&more.lives))
    }

    /// Reads what containers said to one another without a packet. Inside a view it follows the trace.
    pub(in crate::ui) fn with_uses<R>(self, read: impl FnOnce(&Uses, &Trace) -> R) -> R {
        self.kept(|more, trace| more.uses.extend(trace), |more, trace| read(&more.uses, trace))
    }

    /// What is hidden.
    pub(in crate::ui) fn filter(self) -> RwSignal<Filter> {
        self.more.with_value(|more| more.filter)
    }

    /// Width for the picture, in its own pixels.
    pub(in crate::ui) fn room(self) -> RwSignal<i32> {
        self.more.with_value(|more| more.room)
    }

    /// How the events are shown.
    pub(in crate::ui) fn time_tab(self) -> RwSignal<TimeTab> {
        self.more.with_value(|more| more.time_tab)
    }

    /// Where the capture listens.
    pub(in crate::ui) fn tap(self) -> RwSignal<TapChoice> {
        self.more.with_value(|more| more.tap)
    }

    /// Opens the capture on an interface.
    pub(in crate::ui) fn capture_at(self, netns: String, ifname: Option<String>) {
        self.tap().set(TapChoice { netns, ifname });
        self.time_tab().set(TimeTab::Capture);
    }

    /// The language.
    pub(in crate::ui) fn lang(self) -> Lang {
        self.ui.lang.get()
    }

    /// The sentence of an event.
    pub(in crate::ui) fn why(self, event: EventId) -> String {
        let lang = self.lang();
        self.with_trace(|trace| {
            if event.index() >= trace.len() {
                return String::new();
            }
            let around = self.more.try_update_value(|more| more.around.at(trace, event.index() + 1));
            around.map_or_else(String::new, |around| explain::why_in(trace, &around, event, lang))
        })
    }

    /// The event that the inspector shows.
    pub(in crate::ui) fn inspected(self) -> Option<EventId> {
        match self.ui.selection.get() {
            Selection::Event(event) => Some(event),
            Selection::Playhead | Selection::Place(..) => self.event.get(),
        }
    }

    /// The step that shows an event.
    pub(in crate::ui) fn step_of(self, event: EventId) -> EventId {
        self.ui.lab.with_value(|lab| self.index.with_value(|index| index.step_of(lab.trace(), event)))
    }

    /// Selects an event and goes to the step that shows it.
    pub(in crate::ui) fn go_to(self, event: EventId) {
        let step = self.step_of(event);
        self.ui.playback.update(|play| play.seek_event(step));
        self.ui.selection.set(Selection::Playhead);
    }
}

/// The view, from the context; built anew where the page has not handed one down.
pub(in crate::ui) fn use_show() -> Show {
    use_context::<Show>().unwrap_or_else(|| {
        let show = Show::new(expect_context::<Ui>());
        provide_context(show);
        show
    })
}

/// Namespaces in which processes ran: their Pods are drawn one by one.
fn busy_places(trace: &Trace) -> BTreeSet<NetnsId> {
    let is_start = |kind| {
        matches!(
            kind,
            crate::trace::EventKind::Started(_)
                | crate::trace::EventKind::Ended(crate::trace::Disposition::Delivered(_))
        )
    };
    trace.events.iter().filter(|event| is_start(event.kind)).map(|event| event.netns).collect()
}
