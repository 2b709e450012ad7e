//! The fields of a TCP segment.

use super::{Reader, decimal, flag};
use crate::wire::{Tcp, TcpOption};

impl Reader<'_> {
    /// A segment, or what a quotation leaves of it: at least the ports and the sequence number.
    pub(super) fn tcp(&mut self, at: usize, end: usize) {
        let mut layer = self.begin(at);
        layer.number("Source port", 2);
        layer.number("Destination port", 2);
        layer.number("Sequence number", 4);
        if end - at < Tcp::HEADER_LEN {
            let rest = layer.at..end;
            self.end("TCP", layer);
            return self.data(rest);
        }
        layer.number("Acknowledgment number", 4);
        let header_len = usize::from(self.bytes[at + 12] >> 4) * 4;
        layer.bits(
            2,
            &[
                ("Data offset", 4, |words| format!("{} bytes", words * 4)),
                ("Reserved", 4, decimal),
                ("Flag CWR", 1, flag),
                ("Flag ECE", 1, flag),
                ("Flag URG", 1, flag),
                ("Flag ACK", 1, flag),
                ("Flag PSH", 1, flag),
                ("Flag RST", 1, flag),
                ("Flag SYN", 1, flag),
                ("Flag FIN", 1, flag),
            ],
        );
        layer.number("Window", 2);
        layer.hex("Checksum", 2);
        layer.number("Urgent pointer", 2);
        let options = at + Tcp::HEADER_LEN..(at + header_len).clamp(layer.at, end);
        match TcpOption::parse_all(&self.bytes[options.clone()], 0) {
            Ok(list) => {
                for option in list {
                    layer.next(option_name(&option), option.wire_len(), |_| option.to_string());
                }
            }
            // A quotation may cut an option in two.
            Err(_) => layer.hex("Options", options.len()),
        }
        let rest = layer.at..end;
        self.end("TCP", layer);
        let port = |at: usize| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.stream([port(at), port(at + 2)], rest);
    }
}

fn option_name(option: &TcpOption) -> &'static str {
    match option {
        TcpOption::End(_) => "Option: end of list",
        TcpOption::Nop => "Option: no operation",
        TcpOption::MaxSegmentSize(_) => "Option: maximum segment size",
        TcpOption::WindowScale(_) => "Option: window scale",
        TcpOption::SackPermitted => "Option: SACK permitted",
        TcpOption::Sack(_) => "Option: SACK",
        TcpOption::Timestamps { .. } => "Option: timestamps",
        TcpOption::Unknown { .. } => "Option",
    }
}
