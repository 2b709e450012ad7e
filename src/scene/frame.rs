//! What the stage shows at a moment: packets on their ways, the trail behind them, what is lit and what was lost.

use super::geometry::{self, Point, Rect};
use super::index::Index;
use super::look::{self, PacketLook, StepKind};
use super::model::{HookSlot, Scene, ShapeKind, Spot};
use super::note::{self, Note, Sight};
use super::rows::{self, RowText};
use super::within::{self, Within};
use crate::base::words::{self, Lang};
use crate::base::{ChangeId, EventId, IfIndex, JourneyId, NetnsId};
use crate::trace::{DropReason, Event, EventKind, Inventory, Relation, StepRow, Table, TableChange, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// The picture at one step. Between two steps only the packets move; see [`Token::at`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// The step shown.
    pub step: usize,
    /// Its event.
    pub event: Option<EventId>,
    /// Where it happened.
    pub place: Option<Spot>,
    /// The packet that it is about.
    pub lead: Option<JourneyId>,
    /// Packets alive, in the order of their journeys.
    pub tokens: Vec<Token>,
    /// The ways behind the packets of this conversation.
    pub trail: Vec<TrailPiece>,
    /// Lamps of the stacks that were passed, numbered in order from 1.
    pub lamps: BTreeMap<(NetnsId, HookSlot), usize>,
    /// Interfaces that the packet of this step is passing.
    pub lit: BTreeSet<Spot>,
    /// The rows that decided, and where they are shown.
    pub note: Option<Note>,
    /// Packets lost so far in this conversation.
    pub bursts: Vec<Burst>,
    /// The step of a Pod's life, when this is one.
    pub pod: Option<StepRow>,
    /// What containers say to one another without a packet, when this is that.
    pub within: Option<Within>,
}

impl Frame {
    /// What should be in sight, the most important first: where the packet goes, where it is, where another one died,
    /// what decided.
    pub fn focus(&self, scene: &Scene) -> Vec<Rect> {
        let whole = |at: &Point| Rect::new(at.x, at.y, 0, 0);
        let lead = self.tokens.iter().find(|token| Some(token.journey) == self.lead);
        let lead = lead.or_else(|| self.tokens.iter().find(|token| token.main && !token.waits));
        let mut focus: Vec<Rect> = Vec::new();
        if let Some(token) = lead.filter(|_| self.lead.is_some()) {
            let reach = if token.look.tunnel.is_some() { 4 * scene.text } else { 0 };
            let shown = |at: &Point| Rect::new(at.x - reach, at.y, 2 * reach, 0);
            focus.extend(token.path.last().map(shown));
            focus.extend(token.path.first().map(shown));
            let around = |shape: &&super::model::Shape| {
                shape.kind == ShapeKind::Node
                    && focus.first().is_some_and(|end| shape.rect.grown(1).overlaps(end.grown(1)))
            };
            focus.extend(
                scene
                    .shapes
                    .iter()
                    .find(around)
                    .map(|shape| Rect::new(shape.rect.x, focus[0].y, shape.rect.w, 0)),
            );
        }
        focus.extend(self.bursts.iter().filter(|burst| burst.now).map(|burst| whole(&burst.at)));
        let pod =
            self.pod.as_ref().and_then(|row| scene.shape(&format!("pod {}/{}", row.namespace, row.pod)));
        focus.extend(pod.map(|shape| shape.rect));
        focus.extend(self.within.iter().flat_map(|within| within.lines.iter().flatten()).map(whole));
        focus.extend(self.note.as_ref().map(|note| note.rect));
        focus.extend(
            self.place.and_then(|spot| scene.rest(spot)).filter(|_| focus.is_empty()).map(|at| whole(&at)),
        );
        focus
    }
}

/// A packet on the stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Whose way it is.
    pub journey: JourneyId,
    /// The event that it was last seen at.
    pub event: EventId,
    /// How it looks.
    pub look: PacketLook,
    /// Its way to the next station; a single point while it rests.
    pub path: Vec<Point>,
    /// When it moves, in steps: from and to.
    pub moves: (f64, f64),
    /// Whether it waits for its next hop's address.
    pub waits: bool,
    /// Where the words stand that say so.
    pub sign: Option<Rect>,
    /// Whether it is not there yet and appears on the way.
    pub emerges: bool,
    /// Whether it belongs to the conversation shown.
    pub main: bool,
}

impl Token {
    /// How much of its way is done at `position`.
    pub fn part(&self, position: f64) -> f64 {
        let (from, to) = self.moves;
        if to <= from { 0.0 } else { ((position - from) / (to - from)).clamp(0.0, 1.0) }
    }

    /// Where it is at `position`, counted in steps.
    pub fn at(&self, position: f64) -> (f64, f64) {
        geometry::along(&self.path, self.part(position))
    }
}

/// A piece of way that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailPiece {
    /// Its corners.
    pub path: Vec<Point>,
    /// The packet that took it.
    pub look: PacketLook,
    /// Whether it belongs to the packet of this step, rather than to an earlier one of the conversation.
    pub main: bool,
}

/// The table asked, the row that decided if one did, and its text.
pub type Decision = (Table, Option<ChangeId>, RowText);

/// A packet that died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Where.
    pub at: Point,
    /// Why.
    pub reason: DropReason,
    /// Its end.
    pub event: EventId,
    /// Whether this is what the step shows.
    pub now: bool,
}

/// How far to the side a waiting packet stands, at 14 px, so that what it waits for can be seen.
pub const ASIDE: i32 = 46;

/// A wire hop that takes long in steps is shown moving for at most this many.
const LONGEST_MOVE: usize = 6;
/// How far back a passage through one namespace is followed.
const LONGEST_PASSAGE: usize = 256;

/// What is to be shown, besides where.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The trace.
    pub trace: &'a Trace,
    /// Its steps and stations.
    pub index: &'a Index,
    /// The steps played, which a filter may have thinned out.
    pub steps: &'a [EventId],
    /// The step shown.
    pub at: usize,
    /// The language of what is written.
    pub lang: Lang,
}

/// The picture at a step.
pub fn frame_at(scene: &Scene, inventory: &Inventory, moment: Moment<'_>) -> Frame {
    let Some(horizon) = moment.horizon(moment.at) else { return Frame::default() };
    let first = moment.steps[moment.at];
    let event = moment.trace.event(first);
    let mut frame =
        Frame { step: moment.at, event: Some(first), place: Some(spot_of(event)), ..Frame::default() };
    frame.lead = event.journey.is_some().then_some(event.journey);
    let family: &[JourneyId] =
        if event.journey.is_some() { moment.index.family(moment.trace.root_of(event.journey)) } else { &[] };
    let next = moment.horizon(moment.at + 1);
    for at in 0..moment.index.journeys() {
        let journey = JourneyId(at as u32);
        if let Some(mut token) = moment.token(scene, journey, horizon, next) {
            token.main = family.contains(&journey);
            frame.tokens.push(token);
        }
    }
    let lineage = moment.lineage(event.journey);
    for &journey in family {
        moment.add_trail(scene, journey, horizon, lineage.contains(&journey), &mut frame.trail);
        moment.add_burst(scene, journey, horizon, &mut frame.bursts);
    }
    frame.trail.sort_by_key(|piece| piece.main);
    moment.light(inventory, first, &mut frame);
    let sight = moment.sight(&frame, first);
    if let Some((netns, rows)) = moment.decisions(inventory, first) {
        frame.note = note::note(scene, moment.lang, netns, rows, &sight);
    }
    moment.place_waits(scene, &sight, &mut frame);
    if let EventKind::Changed(change) = event.kind
        && let TableChange::Step(row) = &moment.trace.changes[change.index()]
    {
        frame.pod = Some((**row).clone());
    }
    let used = within::use_of(moment.trace, first);
    if let Some((ways, note)) = used.and_then(|used| within::picture(scene, moment.lang, used)) {
        (frame.within, frame.note) = (Some(ways), Some(note));
    }
    frame
}

fn spot_of(event: &Event) -> Spot {
    (event.netns, event.ifindex)
}

impl Moment<'_> {
    fn horizon(&self, at: usize) -> Option<EventId> {
        self.index.horizon(self.trace, self.steps, at)
    }

    /// The step at which an event is on the picture.
    fn arrival(&self, event: EventId) -> usize {
        let at = self.steps.partition_point(|step| *step <= event).saturating_sub(1);
        if self.horizon(at).is_some_and(|horizon| event <= horizon) { at } else { at + 1 }
    }

    fn token(
        &self,
        scene: &Scene,
        journey: JourneyId,
        horizon: EventId,
        next: Option<EventId>,
    ) -> Option<Token> {
        let stations = self.index.stations(journey);
        if *stations.first()? > next.unwrap_or(horizon)
            || self.index.end(journey).is_some_and(|end| end <= horizon)
        {
            return None;
        }
        let passed = stations.partition_point(|station| *station <= horizon);
        if passed == 0 {
            return self.emerging(scene, journey, next?);
        }
        let (now, then) = (stations[passed - 1], stations.get(passed).copied());
        let event = self.trace.event(now);
        let look = look::look_of(self.trace.frame_of(event)?);
        let here = scene.rest(spot_of(event))?;
        let waits = event.kind == EventKind::Queued;
        let mut path = vec![here];
        let mut moves = (0.0, 0.0);
        if let Some(then) = then {
            let to = self.trace.event(then);
            let end = self.arrival(then);
            let hop = event.kind == EventKind::Transmitted && matches!(to.kind, EventKind::Received(_));
            let start = if hop { self.arrival(now).max(end.saturating_sub(LONGEST_MOVE)) } else { end - 1 };
            if start <= self.at {
                path = scene.route(spot_of(event), spot_of(to)).unwrap_or(path);
                moves = (start as f64, end as f64);
            }
        }
        Some(Token { journey, event: now, look, path, moves, waits, sign: None, emerges: false, main: false })
    }

    /// A packet that comes into being between this step and the next: a copy on its way out of a bridge, an answer.
    fn emerging(&self, scene: &Scene, journey: JourneyId, next: EventId) -> Option<Token> {
        let stations = self.index.stations(journey);
        let now = *stations[..stations.partition_point(|station| *station <= next)].last()?;
        let event = self.trace.event(now);
        let cause = self.trace.event(stations[0]).cause;
        if !cause.is_some() || self.trace.journeys[journey.index()].relation != Relation::Copy {
            return None;
        }
        let from = self.trace.event(cause);
        if from.netns != event.netns {
            return None;
        }
        let path = scene.route(spot_of(from), spot_of(event))?;
        let look = look::look_of(self.trace.frame_of(event)?);
        let moves = (self.at as f64, self.at as f64 + 1.0);
        Some(Token {
            journey,
            event: now,
            look,
            path,
            moves,
            waits: false,
            sign: None,
            emerges: true,
            main: false,
        })
    }

    /// What the watcher must see at this step: where the packet is and where it goes next.
    fn sight(&self, frame: &Frame, event: EventId) -> Sight {
        let seen = self.trace.event(event);
        let mut sight = Sight::default();
        if !seen.packet.is_some() {
            return sight;
        }
        sight.spots.push(spot_of(seen));
        let stations = self.index.stations(seen.journey);
        let next = stations.get(stations.partition_point(|station| *station <= event));
        sight.spots.extend(next.map(|next| spot_of(self.trace.event(*next))));
        let own = frame.tokens.iter().find(|token| token.journey == seen.journey);
        if let Some(token) = own {
            sight.path.clone_from(&token.path);
            sight.wide = token.look.tunnel.is_some();
        }
        sight
    }

    /// Finds room for the words beside each packet that waits.
    fn place_waits(&self, scene: &Scene, sight: &Sight, frame: &mut Frame) {
        let px = |length: i32| length * scene.text / 14;
        let words = words::word(self.lang, "stage.waits");
        let size = (geometry::mono_width(&words, scene.text) + px(16), px(24));
        let mut free = note::kept_free(scene, None, &Sight { spots: Vec::new(), ..sight.clone() });
        free.extend(frame.note.as_ref().map(|note| note.rect));
        free.extend(note::names(scene).map(|(_, rect)| rect));
        let is_end = |kind: ShapeKind| matches!(kind, ShapeKind::Loopback | ShapeKind::Port);
        free.extend(scene.shapes.iter().filter(|shape| is_end(shape.kind)).map(|shape| shape.rect));
        for token in frame.tokens.iter_mut().filter(|token| token.waits) {
            let Some(at) = token.path.first() else { continue };
            let aside = at.x - px(ASIDE);
            free.push(Rect::new(aside - px(26), at.y - px(20), px(52), px(40)));
            let home = Point::new(aside - size.0 / 2, at.y - px(21) - size.1);
            token.sign = Some(note::settle(scene, size, home, &free, 8));
        }
    }

    /// A journey and those it is a copy of.
    fn lineage(&self, journey: JourneyId) -> Vec<JourneyId> {
        let mut lineage = Vec::new();
        let mut at = journey;
        while at.is_some() {
            lineage.push(at);
            let info = &self.trace.journeys[at.index()];
            match (info.relation, info.parent) {
                (Relation::Copy | Relation::Fragment, Some(parent)) => at = parent,
                _ => break,
            }
        }
        lineage
    }

    fn add_trail(
        &self,
        scene: &Scene,
        journey: JourneyId,
        horizon: EventId,
        main: bool,
        trail: &mut Vec<TrailPiece>,
    ) {
        let stations = self.index.stations(journey);
        let passed = &stations[..stations.partition_point(|station| *station <= horizon)];
        let cause = passed.first().map(|first| self.trace.event(*first).cause);
        let copied = self.trace.journeys[journey.index()].relation == Relation::Copy;
        let before = cause.filter(|cause| copied && cause.is_some());
        let all: Vec<EventId> = before.into_iter().chain(passed.iter().copied()).collect();
        for ends in all.windows(2) {
            let (from, to) = (self.trace.event(ends[0]), self.trace.event(ends[1]));
            let Some(path) = scene.route(spot_of(from), spot_of(to)).filter(|path| path.len() > 1) else {
                continue;
            };
            // On the way from tunnel to card the packet is inside already.
            let seen = if to.kind == EventKind::Decapsulated { from } else { to };
            if let Some(packet) = self.trace.frame_of(seen) {
                trail.push(TrailPiece { path, look: look::look_of(packet), main });
            }
        }
    }

    fn add_burst(&self, scene: &Scene, journey: JourneyId, horizon: EventId, bursts: &mut Vec<Burst>) {
        let Some(end) = self.index.end(journey).filter(|end| *end <= horizon) else { return };
        let event = self.trace.event(end);
        let Some(StepKind::Drop(_, reason)) = look::step_kind(self.trace, event) else { return };
        if let Some(at) = scene.rest(spot_of(event)) {
            bursts.push(Burst { at, reason, event: end, now: end >= self.steps[self.at] });
        }
    }

    /// The events of one packet in one namespace, up to `event`, newest first.
    fn passage(&self, event: EventId) -> Vec<EventId> {
        let mut passage = Vec::new();
        let netns = self.trace.event(event).netns;
        let mut at = event;
        while at.is_some() && passage.len() < LONGEST_PASSAGE {
            let seen = self.trace.event(at);
            if seen.netns != netns || (at != event && matches!(seen.kind, EventKind::Ended(_))) {
                break;
            }
            passage.push(at);
            at = seen.cause;
        }
        passage
    }

    fn light(&self, inventory: &Inventory, event: EventId, frame: &mut Frame) {
        let seen = self.trace.event(event);
        if !seen.packet.is_some() {
            return;
        }
        let mut passage = self.passage(event);
        for id in &passage {
            frame.lit.insert(spot_of(self.trace.event(*id)));
        }
        frame.lit.retain(|(_, ifindex)| *ifindex != IfIndex::NONE);
        let lamps = |passage: &[EventId]| {
            let lamps = passage.iter().rev().filter_map(|id| lamp(self.trace.event(*id)));
            lamps.collect::<Vec<_>>()
        };
        let mut passed = lamps(&passage);
        // On the wire and in a switch, what was passed last stays lit.
        let oldest = passage.last().map(|id| self.trace.event(*id).cause).filter(|cause| cause.is_some());
        let stackless = inventory
            .netns
            .get(&seen.netns)
            .is_none_or(|state| matches!(state.row.role, crate::trace::NetnsRole::Switch));
        if passed.is_empty()
            && stackless
            && let Some(before) = oldest
        {
            passage = self.passage(before);
            passed = lamps(&passage);
        }
        for (at, lamp) in passed.into_iter().enumerate() {
            // A hook that the outer packet passes again keeps its first number.
            frame.lamps.entry(lamp).or_insert(at + 1);
        }
    }

    /// The rows that decided since the packet's last station, with the namespace they are in.
    fn decisions(&self, inventory: &Inventory, event: EventId) -> Option<(NetnsId, Vec<Decision>)> {
        let seen = self.trace.event(event);
        if !seen.packet.is_some() {
            return None;
        }
        let mut decided: Vec<Decision> = Vec::new();
        for id in self.passage(event) {
            if let EventKind::Decided(table, row) = self.trace.event(id).kind
                && !matches!(table, Table::Netfilter | Table::Conntrack)
                && !decided.iter().any(|(other, ..)| *other == table)
            {
                let row = row.is_some().then_some(row);
                let text = rows::decision(self.trace, inventory, table, row);
                decided.push((table, row, text));
            }
        }
        decided.truncate(2);
        decided.reverse();
        (!decided.is_empty()).then_some((seen.netns, decided))
    }
}

fn lamp(event: &Event) -> Option<(NetnsId, HookSlot)> {
    if let EventKind::Passed(hook) = event.kind {
        Some((event.netns, HookSlot::Netfilter(hook)))
    } else if let EventKind::Decided(Table::Fib, _) = event.kind {
        Some((event.netns, HookSlot::Route))
    } else {
        None
    }
}
