//! What the containers of a Pod say to one another without a packet: its picture at a step, and the ways that a Pod
//! offers, each with what it passes through, what it needs and how often it was used.

use super::geometry::{Point, Rect};
use super::model::{Scene, ShapeKind};
use super::note::{self, Note, NoteLine};
use super::reading::Reading;
use crate::base::words::{self, Lang};
use crate::base::{EventId, NetnsId, ObjectKey};
use crate::trace::{
    EventKind, Inventory, IpcChange, LinkKind, Path, PodRow, TableChange, Trace, UseRow, WAYS, Way,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// How far below the containers the way between them runs, at 14 px.
const DEPTH: i32 = 13;

/// A use of a way as it stands on the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// What the data passes through.
    pub path: Path,
    /// From the container that used it to each of the others.
    pub lines: Vec<Vec<Point>>,
}

/// The use that an event is, if it is one.
pub(super) fn use_of(trace: &Trace, event: EventId) -> Option<&UseRow> {
    let EventKind::Changed(change) = trace.event(event).kind else { return None };
    let TableChange::Ipc(change) = &trace.changes[change.index()] else { return None };
    let IpcChange::Used(row) = &**change else { return None };
    Some(row)
}

/// The lines between the containers, and the box that says what was used.
pub(super) fn picture(scene: &Scene, lang: Lang, row: &UseRow) -> Option<(Within, Note)> {
    let from = row.container.as_ref()?;
    let pod = format!("pod {}/{}", from.namespace, from.pod);
    let home = scene.shape(&pod)?.rect;
    let place = |name: &str| {
        scene
            .shape(&format!("{pod} {name}"))
            .filter(|shape| shape.kind == ShapeKind::Container)
            .map(|shape| shape.rect)
    };
    let px = |length: i32| length * scene.text / 14;
    let own = place(&from.container);
    let to: Vec<Rect> = row.others.iter().filter_map(|name| place(name)).collect();
    let lines = own.map_or_else(Vec::new, |own| to.iter().map(|to| between(own, *to, px(DEPTH))).collect());
    let line = line(lang, row);
    let text = |text: &str| super::geometry::mono_width(text, scene.text);
    let width = (text(&line.head) + text(&line.title) + px(40)).max(text(&line.tail) + px(26));
    let size = (width.max(px(170)), px(48));
    let corner = Point::new(home.x, home.bottom() + px(22));
    let free: Vec<Rect> = own.into_iter().chain(to).chain([home]).collect();
    let rect = note::settle(scene, size, corner, &free, 1);
    let lines_of_box = vec![line];
    let note = Note { rect, leader: None, rows: Vec::new(), lines: lines_of_box };
    Some((Within { path: row.way.path(), lines }, note))
}

/// Out of the lower edge of one box, along below both, and into the other from below. Small boxes stand close to the
/// Pod's edge, so that there the way runs above them.
fn between(from: Rect, to: Rect, depth: i32) -> Vec<Point> {
    let is_small = from.h < 3 * depth;
    let end = |rect: Rect| if is_small { rect.y } else { rect.bottom() };
    let level = if is_small { from.y - depth / 3 } else { from.bottom() + depth };
    let (a, b) = (from.center().x, to.center().x);
    vec![Point::new(a, end(from)), Point::new(a, level), Point::new(b, level), Point::new(b, end(to))]
}

fn line(lang: Lang, row: &UseRow) -> NoteLine {
    let word = |key: &str| words::word(lang, key);
    let name = word(&format!("ipc.name.{}", row.way.key()));
    let tail = match row.bytes {
        0 => name,
        bytes => format!("{name} · {bytes} B"),
    };
    NoteLine {
        title: word(&format!("ipc.short.{}", row.way.path().key())),
        head: row.object.to_string(),
        tail,
    }
}

/// Every use in a trace, kept as it grows.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    reading: Reading,
    all: Vec<EventId>,
}

impl Uses {
    /// Takes in what was added to the trace.
    pub fn extend(&mut self, trace: &Trace) {
        if !self.reading.is_of(trace) {
            *self = Self::default();
        }
        self.all.extend(self.reading.read(trace).filter(|event| use_of(trace, *event).is_some()));
    }

    /// The uses in a Pod up to an event, oldest first.
    pub fn of<'a>(
        &'a self,
        trace: &'a Trace,
        pod: &'a PodRow,
        upto: EventId,
    ) -> impl Iterator<Item = (EventId, &'a UseRow)> {
        let passed = self.all.iter().take_while(move |event| **event <= upto);
        let rows = passed.filter_map(|event| Some((*event, use_of(trace, *event)?)));
        rows.filter(|(_, row)| {
            row.container.as_ref().is_some_and(|of| (&of.namespace, &of.pod) == (&pod.namespace, &pod.name))
        })
    }
}

/// A way that a Pod offers or lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The way; `None` for the network over the loopback device.
    pub way: Option<Way>,
    /// Where it is open, and to which containers.
    pub open: Vec<String>,
    /// How often it was used so far, and bytes passed on. Frames and their bytes for the network.
    pub used: (u64, u64),
}

/// What the containers of a Pod can talk by, the network first.
pub fn offers(inventory: &Inventory, pod: &PodRow) -> Vec<Offer> {
    let key = ObjectKey::new("Pod", &pod.namespace, &pod.name);
    let whole = inventory.objects.get(&key).map(|row| &*row.value);
    let spec = whole.map_or(&Value::Null, |value| &value["spec"]);
    let several = all_containers(spec).count() > 1;
    let network = Offer { way: None, open: loopback(several), used: over_loopback(inventory, pod.netns) };
    let ways = WAYS.iter().map(|way| Offer {
        way: Some(*way),
        open: if several { open(spec, *way) } else { Vec::new() },
        used: used(inventory, pod.netns, *way),
    });
    std::iter::once(network).chain(ways).collect()
}

fn loopback(several: bool) -> Vec<String> {
    if several { vec!["127.0.0.1".to_owned()] } else { Vec::new() }
}

fn over_loopback(inventory: &Inventory, netns: Option<NetnsId>) -> (u64, u64) {
    let state = netns.and_then(|netns| inventory.netns.get(&netns));
    let lo = state.and_then(|state| state.links.values().find(|link| link.kind == LinkKind::Loopback));
    let counters = lo.and_then(|lo| state?.counters.get(&lo.ifindex));
    counters.map_or((0, 0), |counters| (counters.tx_packets, counters.tx_bytes))
}

fn used(inventory: &Inventory, netns: Option<NetnsId>, way: Way) -> (u64, u64) {
    let state = netns.and_then(|netns| inventory.netns.get(&netns));
    let found = state.and_then(|state| state.ipc.used.get(&way));
    found.map_or((0, 0), |(count, bytes)| (u64::from(*count), *bytes))
}

fn all_containers(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["containers"].as_array().into_iter().flatten()
}

/// Where a way is open in a Pod of several containers: directories that two of them mount, or what all of them share.
fn open(spec: &Value, way: Way) -> Vec<String> {
    match way {
        Way::SharedMemory | Way::Semaphore | Way::MessageQueue => vec!["IPC".to_owned()],
        Way::PosixQueue => vec!["/dev/mqueue".to_owned()],
        Way::MemoryFile => {
            let shared = shared_volumes(spec, true);
            std::iter::once("/dev/shm".to_owned()).chain(shared).collect()
        }
        Way::File => shared_volumes(spec, false),
        Way::Unix | Way::Fifo | Way::Lock => {
            let (mut disk, memory) = (shared_volumes(spec, false), shared_volumes(spec, true));
            disk.extend(memory);
            disk
        }
        Way::Signal => {
            let shares = spec["shareProcessNamespace"] == true;
            if shares { vec!["PID".to_owned()] } else { Vec::new() }
        }
    }
}

/// The volumes that at least two containers mount, each with where and by whom: `shared: writer, reader`.
fn shared_volumes(spec: &Value, in_memory: bool) -> Vec<String> {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let is_memory = |volume: &&Value| (volume["emptyDir"]["medium"] == "Memory") == in_memory;
    let named = volumes.filter(is_memory).filter_map(|volume| volume["name"].as_str());
    let users = |name: &str| -> BTreeSet<&str> {
        let mounts = |container: &&Value| {
            container["volumeMounts"].as_array().into_iter().flatten().any(|mount| mount["name"] == name)
        };
        all_containers(spec).filter(mounts).filter_map(|container| container["name"].as_str()).collect()
    };
    let told = named.filter_map(|name| {
        let users = users(name);
        (users.len() > 1).then(|| format!("{name}: {}", users.into_iter().collect::<Vec<_>>().join(", ")))
    });
    told.collect()
}
