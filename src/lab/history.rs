//! What the page remembers between visits: at most [`History::LIMIT`] labs with the time each was left, at most one for
//! a minute, so that an experiment can be undone after the page was closed. Wall time is only a label here; it comes
//! from the page.

use serde::{Deserialize, Serialize};

/// A lab as it was left at some time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Wall time in milliseconds since 1970, as the browser says it.
    pub saved_ms: u64,
    /// The lab, as [`super::share::encode`] writes it.
    pub link: String,
    /// The text in the editor where it differs from what was applied last: nothing that was typed is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}

/// The remembered labs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The entries, newest first.
    pub entries: Vec<Entry>,
}

impl History {
    /// Most entries that are kept.
    pub const LIMIT: usize = 30;

    /// Within this time an entry is brought up to date instead of a new one being made.
    pub const EVERY_MS: u64 = 60_000;

    /// Reads what was stored. What cannot be read is left out, and the rest is kept.
    pub fn read(json: &str) -> Self {
        let Ok(serde_json::Value::Object(mut stored)) = serde_json::from_str(json) else {
            return Self::default();
        };
        let Some(serde_json::Value::Array(items)) = stored.remove("entries") else { return Self::default() };
        let mut entries: Vec<Entry> =
            items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect();
        entries.truncate(Self::LIMIT);
        Self { entries }
    }

    /// Writes it down.
    pub fn write(&self) -> String {
        serde_json::to_string(self)
            .expect("entries have only strings and numbers, which JSON can always hold")
    }

    /// Takes in the lab as it stands now.
    pub fn save(&mut self, entry: Entry) {
        if let Some(newest) = self.entries.first_mut() {
            if newest.link == entry.link && newest.draft == entry.draft {
                return;
            }
            // The oldest text of a minute stays when the next minute begins, so compare with the entry before it.
            let since =
                self.entries.get(1).map_or(u64::MAX, |before| entry.saved_ms.saturating_sub(before.saved_ms));
            if since < Self::EVERY_MS {
                self.entries[0] = entry;
                return;
            }
        }
        self.entries.insert(0, entry);
        self.entries.truncate(Self::LIMIT);
    }

    /// Forgets the older half, for storage that is full.
    pub fn halve(&mut self) {
        self.entries.truncate(self.entries.len().div_ceil(2).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: u64, link: &str) -> Entry {
        Entry { saved_ms: seconds * 1000, link: link.into(), draft: None }
    }

    fn links(history: &History) -> Vec<&str> {
        history.entries.iter().map(|entry| entry.link.as_str()).collect()
    }

    #[test]
    fn a_minute_leaves_one_entry_and_the_newest_is_always_there() {
        let mut history = History::default();
        for (seconds, link) in [(0, "a"), (10, "b"), (20, "c"), (59, "d"), (60, "e"), (61, "f"), (150, "g")] {
            history.save(entry(seconds, link));
            assert_eq!(history.entries[0].link, link, "the newest is always kept");
        }
        assert_eq!(links(&history), ["g", "f", "d", "a"]);
    }

    #[test]
    fn an_unchanged_lab_makes_no_entry() {
        let mut history = History::default();
        history.save(entry(0, "a"));
        history.save(entry(600, "a"));
        assert_eq!(history.entries, [entry(0, "a")]);
    }

    #[test]
    fn no_more_than_thirty_are_kept() {
        let mut history = History::default();
        for minute in 0..100 {
            history.save(entry(minute * 61, &minute.to_string()));
        }
        assert_eq!(history.entries.len(), History::LIMIT);
        assert_eq!(history.entries[0].link, "99");
    }

    #[test]
    fn what_is_broken_in_storage_is_left_out() {
        for json in ["", "null", "[]", "{\"entries\": 3}", "\u{0}", "{\"entries\": [1, {\"link\": 2}]}"] {
            assert_eq!(History::read(json), History::default(), "{json}");
        }
        let json = r#"{"entries": [{"saved_ms": "x"}, {"saved_ms": 5, "link": "v1:a"}]}"#;
        assert_eq!(links(&History::read(json)), ["v1:a"]);
        let mut history = History::default();
        history.save(entry(3, "v1:b"));
        assert_eq!(History::read(&history.write()), history);
    }
}
