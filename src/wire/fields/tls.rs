//! The fields of TLS records, as far as they are not encrypted (RFC 8446 sections 4 and 5).

use super::{Reader, number};
use crate::wire::tls::{APPLICATION_DATA, Message, records};
use std::ops::Range;

impl Reader<'_> {
    /// The records that a segment begins with; the range of what is left.
    pub(super) fn tls(&mut self, mut range: Range<usize>) -> Range<usize> {
        let bytes = self.bytes;
        for record in records(&bytes[range.clone()]) {
            let mut layer = self.begin(range.start);
            layer.next("Content type", 1, |byte| format!("{} ({})", record.name(), number(byte)));
            layer.hex("Version", 2);
            layer.number("Length", 2);
            let messages: Vec<Message<'_>> = record.messages().collect();
            if let Some(number) = record.alert() {
                let text = crate::wire::tls::alert_name(number);
                layer.next("Alert", record.body.len(), |_| text.to_owned());
            } else if messages.is_empty() && !record.body.is_empty() {
                let hidden = if record.kind == APPLICATION_DATA { "Encrypted" } else { "Content" };
                layer.next(hidden, record.body.len(), |bytes| format!("{} bytes", bytes.len()));
            }
            for message in messages {
                layer.next("Handshake type", 1, |byte| format!("{} ({})", message.name(), number(byte)));
                layer.number("Message length", 3);
                layer.next("Message", message.body.len(), |_| told(&message));
            }
            range.start = layer.at;
            self.end("TLS", layer);
        }
        range
    }
}

/// What an observer reads in a message.
fn told(message: &Message<'_>) -> String {
    let mut parts = vec![format!("{} bytes", message.body.len())];
    let protocols = message.alpn();
    if !protocols.is_empty() {
        parts.push(format!("protocols {}", protocols.join(", ")));
    }
    parts.extend(message.server_name().map(|name| format!("server name {name}")));
    parts.join("; ")
}
