//! `kubectl diff`: what applying a manifest would change, as `diff -u -N` shows it.

use super::manifests::{Read, Validation, with};
use super::{Next, client, fail, key, read, refusal, say, type_of};
use crate::api::ApiRequest;
use crate::app::Os;
use crate::cluster::patch;
use crate::manifest;
use crate::shell::Command;
use crate::shell::kubectl::flags::{self, Flag, switch, value};
use crate::shell::kubectl::json::text;
use crate::shell::kubectl::yaml;
use crate::shell::out::refuse;
use crate::trace::api_defaults;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

const FLAGS: [Flag; 3] =
    [value("filename", 'f'), switch("show-managed-fields", ' '), value("field-manager", ' ')];
const OTHERS: [&str; 10] = [
    "kustomize",
    "recursive",
    "prune",
    "prune-allowlist",
    "selector",
    "server-side",
    "force-conflicts",
    "concurrency",
    "exit-code",
    "raw",
];
/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Status of a client that fails, for 1 says that something differs (`CheckDiffErr`).
const FAILED: u8 = 2;
/// What stands for a Secret's values (`sensitiveMaskDefault` and its like).
const MASK: &str = "***";

/// `kubectl diff` with these words after it. Its status is 1 where something differs.
pub(in crate::shell::kubectl) fn diff(namespace: &str, words: &[String]) -> Command {
    let words = match flags::read("diff", &FLAGS, &OTHERS, words) {
        Ok(words) => words,
        Err(text) => return refuse(text, FAILED),
    };
    let sources: Vec<String> = words.values("filename").into_iter().map(str::to_owned).collect();
    if sources.is_empty() {
        return refuse("error: must specify one of -f and -k\n", FAILED);
    }
    let place = (words.namespace(namespace).to_owned(), words.value("namespace").is_some());
    let step = with(
        sources,
        place,
        ("diff", Validation::Strict),
        Rc::new(|os: &mut dyn Os, found: Vec<Read>| {
            let folders = [format!("/tmp/LIVE-{}", os.random()), format!("/tmp/MERGED-{}", os.random())];
            // `diff` runs when all files are written, and goes through them by their names.
            let mut texts = BTreeMap::new();
            for one in found {
                let object = one.object.map_err(|wrong| wrong.text().to_owned());
                match object.and_then(|object| compared(os, &object, &folders)) {
                    Ok(found) => texts.extend(found),
                    Err(message) => {
                        fail(os, &message);
                        return Next::Done(FAILED);
                    }
                }
            }
            for text in texts.values() {
                say(os, text);
            }
            Next::Done(u8::from(!texts.is_empty()))
        }),
    );
    client(move |os| step(os))
}

/// What differs between an object as it is and as it would be, by the name of its files; nothing where it is the same.
fn compared(
    os: &mut dyn Os,
    object: &Value,
    folders: &[String; 2],
) -> Result<Option<(String, String)>, String> {
    let Some(resource) = type_of(object) else { return Ok(None) };
    let (namespace, name) = (text(object, "metadata.namespace"), text(object, "metadata.name"));
    let key = key(resource, namespace, name);
    let mut live = read(os, &key).ok();
    // The client reads and writes in the version of the file.
    let api_version = text(object, "apiVersion");
    if let Some(live) = &mut live {
        manifest::conversion::show(live, api_version);
    }
    let mut merged = match &live {
        Some(live) => merged(object, live),
        None => os.api(&ApiRequest::Check(object.clone())).map_err(|error| refusal(&error, ""))?,
    };
    if resource.kind == "Secret" {
        mask(live.as_mut(), &mut merged);
    }
    let document = |value: &Value| yaml::yaml(&yaml::sorted(value));
    let (old, new) = (live.as_ref().map_or_else(String::new, document), document(&merged));
    let version = api_version.rsplit('/').next().unwrap_or("v1");
    let group = match resource.group() {
        "" => String::new(),
        group => format!("{group}."),
    };
    let file = format!("{group}{version}.{}.{}.{name}", resource.kind, key.namespace);
    let paths = [0, 1].map(|side: usize| format!("{}/{file}", folders[side]));
    let stamp = os.now().rfc3339().replace('T', " ").replace('Z', ".000000000 +0000");
    let hunks = unified(&old, &new);
    if hunks.is_empty() {
        return Ok(None);
    }
    let [from, to] = paths;
    let text = format!("diff -u -N {from} {to}\n--- {from}\t{stamp}\n+++ {to}\t{stamp}\n{hunks}");
    Ok(Some((file, text)))
}

/// Hides the values of a Secret, so that one still sees which of them differ (`Masker`).
fn mask(live: Option<&mut Value>, merged: &mut Value) {
    let mut nothing = json!({});
    let old = live.unwrap_or(&mut nothing);
    let before = old.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in merged.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
        let changed = before.get(key).is_some_and(|old| old != value);
        *value = json!(if changed { format!("{MASK} (after)") } else { MASK.to_owned() });
    }
    let after = merged.get("data").cloned().unwrap_or_default();
    for (key, value) in old.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
        let changed = after[key.as_str()].as_str().is_some_and(|new| new != MASK);
        *value = json!(if changed { format!("{MASK} (before)") } else { MASK.to_owned() });
    }
}

/// An object after a manifest was applied to it.
fn merged(object: &Value, live: &Value) -> Value {
    let before = live["metadata"]["annotations"][super::apply::LAST].as_str();
    let before = before.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut merged = patch::three_way(before.as_ref(), &super::apply::plain(object), live);
    if let Some(fields) = merged.as_object_mut() {
        fields.remove("status");
        fields.extend(live.get("status").map(|status| ("status".to_owned(), status.clone())));
    }
    api_defaults::fill(&mut merged);
    // The server shows no map that is empty.
    if let Some(metadata) = merged["metadata"].as_object_mut() {
        metadata.retain(|_, value| value.as_object().is_none_or(|map| !map.is_empty()));
    }
    let generation = live["metadata"]["generation"].as_i64();
    if let Some(generation) =
        generation.filter(|_| yaml::sorted(&merged["spec"]) != yaml::sorted(&live["spec"]))
    {
        merged["metadata"]["generation"] = json!(generation + 1);
    }
    merged
}

/// A line of both texts, or of one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// The lines of two texts in one order, by the longest common subsequence.
fn aligned<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(Side, &'t str)> {
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            longest[i][j] = if one == other {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            found.push((Side::Both, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || longest[i + 1][j] >= longest[i][j + 1]) {
            found.push((Side::Old, old[i]));
            i += 1;
        } else {
            found.push((Side::New, new[j]));
            j += 1;
        }
    }
    found
}

/// The hunks between two texts.
fn unified(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let lines = aligned(&old, &new);
    let changed: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].0 != Side::Both).collect();
    let mut out = String::new();
    let mut changes = changed.iter().copied().peekable();
    while let Some(first) = changes.next() {
        let mut last = first;
        // Changes whose surroundings touch stand in one hunk.
        while let Some(next) = changes.next_if(|next| *next <= last + 2 * CONTEXT + 1) {
            last = next;
        }
        let (from, to) = (first.saturating_sub(CONTEXT), (last + CONTEXT + 1).min(lines.len()));
        let count = |range: std::ops::Range<usize>, other: Side| {
            lines[range].iter().filter(|(side, _)| *side != other).count()
        };
        let place = |other: Side| {
            let (before, length) = (count(0..from, other), count(from..to, other));
            let start = if length == 0 { before } else { before + 1 };
            if length == 1 { start.to_string() } else { format!("{start},{length}") }
        };
        out.push_str(&["@@ -", &place(Side::New), " +", &place(Side::Old), " @@\n"].concat());
        for (side, line) in &lines[from..to] {
            out.push(match side {
                Side::Both => ' ',
                Side::Old => '-',
                Side::New => '+',
            });
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unified;

    #[test]
    fn hunks_are_those_of_diff() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
        let new = "a\nb\nX\nd\ne\nf\ng\nh\ni\nj\nk\n";
        let wanted = "@@ -1,6 +1,6 @@\n a\n b\n-c\n+X\n d\n e\n f\n@@ -9,4 +9,3 @@\n i\n j\n k\n-l\n";
        assert_eq!(unified(old, new), wanted);
        assert_eq!(unified("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(unified("a\n", "a\n"), "");
    }
}
