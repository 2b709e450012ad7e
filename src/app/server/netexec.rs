//! What `agnhost netexec` answers over HTTP.

use super::site::{Asked, Found, go_time, hostname};
use crate::app::Os;

/// The answer to a request; `index` is what stands at `/` where something was given.
pub(super) fn answer(
    index: Option<&String>,
    os: &mut dyn Os,
    asked: &Asked<'_>,
    exits: &mut Option<u8>,
) -> Found {
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    };
    let text = Found::text;
    match path {
        "/hostname" | "/hostName" => text(200, hostname(os)),
        "/clientip" => text(200, asked.peer.to_string()),
        "/echo" => {
            let status = value("code").and_then(|code| code.parse().ok()).unwrap_or(200);
            text(status, value("msg").unwrap_or_default())
        }
        "/header" => {
            let key = value("key").unwrap_or_default();
            text(200, asked.head.get(&key).unwrap_or("").to_owned())
        }
        "/healthz" => text(200, String::new()),
        "/exit" => {
            *exits = Some(value("code").and_then(|code| code.parse().ok()).unwrap_or(0));
            text(200, String::new())
        }
        "/redirect" => {
            let status = value("code").and_then(|code| code.parse().ok()).unwrap_or(302);
            Found { location: value("location"), ..text(status, String::new()) }
        }
        "/dial" | "/shell" | "/upload" => text(501, format!("not simulated: {path}\n")),
        _ => match index {
            Some(index) => text(200, index.clone()),
            None => text(200, format!("NOW: {}", go_time(os.now()))),
        },
    }
}

/// A value of a query without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decoded("a%20b+c%zz%"), "a b c%zz%");
    }
}
