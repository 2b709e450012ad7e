//! Two runs side by side: what differs, and where.

use crate::hops::{Hop, Hops, Tap};
use crate::tables::Tables;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use vethscope::trace::Inventory;

/// Within this time packets of commands that run one after the other may change places, in nanoseconds.
pub(crate) const MOMENT_NS: u64 = 1_000_000;

/// In how many fields two packets may differ for the differences to be worth naming.
const ALIKE: usize = 4;

/// Something that differs.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// Where: a tap, a table, a command.
    pub(crate) place: String,
    /// What, on lines of their own; a line that begins with `<` is the real kernel's, one with `>` the simulator's.
    pub(crate) text: String,
}

/// A line of one list, of the other, or of both.
enum Side<'a, T> {
    Both(&'a T),
    Left(&'a T),
    Right(&'a T),
}

/// Lays two lists side by side along their longest common subsequence.
fn aligned<'a, T>(left: &'a [T], right: &'a [T], same: impl Fn(&T, &T) -> bool) -> Vec<Side<'a, T>> {
    let (rows, columns) = (left.len(), right.len());
    let mut longest = vec![vec![0_u32; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            longest[row][column] = if same(&left[row], &right[column]) {
                longest[row + 1][column + 1] + 1
            } else {
                longest[row + 1][column].max(longest[row][column + 1])
            };
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut sides = Vec::new();
    while row < rows || column < columns {
        if row < rows && column < columns && same(&left[row], &right[column]) {
            sides.push(Side::Both(&left[row]));
            (row, column) = (row + 1, column + 1);
        } else if column == columns || (row < rows && longest[row + 1][column] >= longest[row][column + 1]) {
            sides.push(Side::Left(&left[row]));
            row += 1;
        } else {
            sides.push(Side::Right(&right[column]));
            column += 1;
        }
    }
    sides
}

/// Name of a tap, as `node1/eth0`.
pub(crate) fn place(inventory: &Inventory, tap: Tap) -> String {
    inventory.netns.get(&tap.0).map_or_else(
        || format!("{}/{}", tap.0.0, tap.1.0),
        |state| format!("{}/{}", state.row.name, state.ifname(tap.1)),
    )
}

/// Taps whose hops differ, then hops whose causes came after them.
pub(crate) fn taps(inventory: &Inventory, moment_ns: u64, real: &Hops, simulated: &Hops) -> Vec<Difference> {
    let names: BTreeSet<Tap> = real.keys().chain(simulated.keys()).copied().collect();
    let none = Vec::new();
    let mut found = Vec::new();
    let mut matched = BTreeMap::new();
    for tap in names {
        let (left, right) = (real.get(&tap).unwrap_or(&none), simulated.get(&tap).unwrap_or(&none));
        match counterparts(moment_ns, left, right) {
            Some(places) => {
                matched.insert(tap, places);
            }
            None => found.push(Difference { place: place(inventory, tap), text: side_by_side(left, right) }),
        }
    }
    if found.is_empty() {
        found = causes(inventory, moment_ns, &matched, real, simulated);
    }
    found
}

/// For each simulated hop the place of the real one that it is, where all of them agree in order. Two packets that are
/// under way at the same moment may pass a tap in either order: on the real kernel that is a race.
fn counterparts(moment_ns: u64, real: &[Hop], simulated: &[Hop]) -> Option<Vec<usize>> {
    if real.len() != simulated.len() {
        return None;
    }
    let mut taken = vec![false; real.len()];
    let mut places: Vec<usize> = Vec::new();
    for hop in simulated {
        let place = (0..real.len()).find(|&place| !taken[place] && real[place].agrees(hop))?;
        taken[place] = true;
        places.push(place);
    }
    for (later, &place) in places.iter().enumerate() {
        for (earlier, &other) in places[..later].iter().enumerate() {
            let swapped = other > place;
            let apart = real[other].at_ns.abs_diff(real[place].at_ns) > moment_ns
                || simulated[later].at_ns.abs_diff(simulated[earlier].at_ns) > moment_ns;
            if swapped && apart {
                return None;
            }
        }
    }
    Some(places)
}

fn side_by_side(left: &[Hop], right: &[Hop]) -> String {
    let mut text = String::new();
    let way = |hop: &Hop| if hop.outgoing { "out" } else { "in " };
    let mut pending: Vec<&Hop> = Vec::new();
    for side in aligned(left, right, Hop::agrees) {
        match side {
            Side::Both(hop) => {
                pending.clear();
                let _ = writeln!(text, "  {} {}", way(hop), hop.line);
            }
            Side::Left(hop) => {
                pending.push(hop);
                let _ = writeln!(text, "< {} {}", way(hop), hop.line);
            }
            Side::Right(hop) => {
                let _ = writeln!(text, "> {} {}", way(hop), hop.line);
                if !pending.is_empty() {
                    let real = pending.remove(0);
                    fields(&mut text, real, hop);
                }
            }
        }
    }
    text
}

/// The fields in which two hops differ.
fn fields(text: &mut String, real: &Hop, simulated: &Hop) {
    let names: Vec<&str> = real.fields.iter().map(|(name, _)| name.as_str()).collect();
    let others: Vec<&str> = simulated.fields.iter().map(|(name, _)| name.as_str()).collect();
    if names != others {
        return;
    }
    let both = real.fields.iter().zip(&simulated.fields);
    let differing: Vec<_> = both.filter(|((_, left), (_, right))| left != right).collect();
    // Two packets that have little in common are not the same one gone wrong.
    if differing.len() > ALIKE {
        return;
    }
    for ((name, left), (_, right)) in differing {
        let _ = writeln!(text, "        {name}: {left} real, {right} simulated");
    }
}

/// Where all taps agree, what the simulator says came of something must have come after it on the real kernel too.
fn causes(
    inventory: &Inventory,
    moment_ns: u64,
    matched: &BTreeMap<Tap, Vec<usize>>,
    real: &Hops,
    simulated: &Hops,
) -> Vec<Difference> {
    let real_hop = |tap: Tap, index: usize| real.get(&tap)?.get(*matched.get(&tap)?.get(index)?);
    let mut found = Vec::new();
    for (&tap, hops) in simulated {
        for (index, hop) in hops.iter().enumerate() {
            let Some((from, number)) = hop.cause else { continue };
            let (Some(before), Some(after)) = (real_hop(from, number), real_hop(tap, index)) else {
                continue;
            };
            // Of several that could have caused it, each side may have taken another.
            let slack = if moment_ns > MOMENT_NS { moment_ns } else { 0 };
            if before.at_ns > after.at_ns + slack {
                let text = format!(
                    "> {}\n> came of its hop at {}, which the real kernel saw {} ns later\n",
                    hop.line,
                    place(inventory, from),
                    before.at_ns - after.at_ns
                );
                found.push(Difference { place: place(inventory, tap), text });
            }
        }
    }
    found
}

/// Tables whose lines differ.
pub(crate) fn tables(
    inventory: &Inventory,
    moment: &str,
    real: &Tables,
    simulated: &Tables,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let none = Vec::new();
    let keys: BTreeSet<_> = real.keys().chain(simulated.keys()).collect();
    for key in keys {
        let (left, right) = (real.get(key).unwrap_or(&none), simulated.get(key).unwrap_or(&none));
        if left == right {
            continue;
        }
        let name = inventory.netns.get(&key.0).map_or("?", |state| &state.row.name);
        let place = format!("{name}, {} {moment}", key.1);
        found.push(Difference { place, text: lines(left, right) });
    }
    found
}

/// Two texts line by line, only what differs.
pub(crate) fn lines(left: &[String], right: &[String]) -> String {
    let mut text = String::new();
    for side in aligned(left, right, |left, right| left == right) {
        let _ = match side {
            Side::Both(_) => Ok(()),
            Side::Left(line) => writeln!(text, "< {line}"),
            Side::Right(line) => writeln!(text, "> {line}"),
        };
    }
    text
}
