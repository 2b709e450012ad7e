//! Label selectors as text (`k8s.io/apimachinery/pkg/labels`).

use std::collections::BTreeMap;

/// What is asked of one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelTest {
    key: String,
    ask: Ask,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ask {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl LabelTest {
    /// Whether labels pass. A label that is not there is none of the values that are not wanted.
    pub(super) fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.ask {
            Ask::Exists => value.is_some(),
            Ask::Absent => value.is_none(),
            Ask::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Ask::NotIn(unwanted) => value.is_none_or(|value| !unwanted.contains(value)),
        }
    }

    /// Reads `a=b,c!=d,e in (f, g),h notin (i),j,!k`; `None` where it is no selector.
    pub(super) fn parse_all(text: &str) -> Option<Vec<Self>> {
        split(text).map(|part| Self::parse(part.trim())).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let test = |key: &str, ask| {
            let key = key.trim();
            let is_key = !key.is_empty() && !key.contains(char::is_whitespace);
            is_key.then(|| Self { key: key.to_owned(), ask })
        };
        let one = |value: &str| vec![value.trim().to_owned()];
        if let Some((key, value)) = text.split_once("!=") {
            return test(key, Ask::NotIn(one(value)));
        }
        if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            return test(key, Ask::In(one(value)));
        }
        if let Some((head, list)) = text.split_once('(') {
            let values = list.trim_end().strip_suffix(')')?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            let (key, word) = head.trim().split_once(char::is_whitespace)?;
            return match word.trim() {
                "in" => test(key, Ask::In(values)),
                "notin" => test(key, Ask::NotIn(values)),
                _ => None,
            };
        }
        match text.strip_prefix('!') {
            Some(key) => test(key, Ask::Absent),
            None => test(text, Ask::Exists),
        }
    }
}

/// Parts between commas that stand outside of parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |at| {
        match at {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_and_hold() {
        let labels: BTreeMap<String, String> =
            [("app", "web"), ("tier", "front")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (text, holds) in [
            ("app=web", true),
            ("app==db", false),
            ("app!=db,tier", true),
            ("app in (db, web),!env", true),
            ("tier notin (front)", false),
            ("env notin (x)", true),
            ("env", false),
        ] {
            let tests = LabelTest::parse_all(text).unwrap();
            assert_eq!(tests.iter().all(|test| test.holds(&labels)), holds, "{text}");
        }
        for wrong in ["", "a in b", "a in (b", "=x", "a within (b)"] {
            assert_eq!(LabelTest::parse_all(wrong), None, "{wrong}");
        }
    }
}
