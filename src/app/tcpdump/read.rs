//! `tcpdump -r`: packets from a file.

use super::{Packet, Tcpdump, link_name};
use crate::app::{Os, Process, Wake};
use crate::base::SimTime;
use crate::trace::Stream;
use crate::wire::filter::Seen;
use crate::wire::pcap::{Header, LINK_RAW, LINK_SLL2, Record};
use std::fmt::Write as _;

/// A `tcpdump` that reads a file.
#[derive(Clone, Debug)]
pub struct ReadFile {
    /// Prints and writes.
    tcpdump: Tcpdump,
    /// Name of the file.
    name: String,
    header: Header,
    records: Vec<Record>,
    /// Why the file ends too early.
    cut: Option<String>,
    /// `--count`: only how many there are.
    counts: bool,
}

/// What the Ethernet header of a packet without one is taken for.
const NO_HEADER: [u8; 14] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];

impl ReadFile {
    /// A `tcpdump` with the content of a file.
    pub fn new(tcpdump: Tcpdump, name: &str, header: Header, bytes: &[u8], counts: bool) -> Self {
        let (records, cut) = header.records(bytes);
        Self { tcpdump, name: name.to_owned(), header, records, cut, counts }
    }

    /// The line that says what is read.
    pub fn head(name: &str, header: Header) -> String {
        let (short, long) = link_name(header.link);
        let mut out = format!(
            "reading from file {name}, link-type {short} ({long}), snapshot length {}\n",
            header.snaplen
        );
        if header.link == LINK_SLL2 {
            out += "Warning: interface names might be incorrect\n";
        }
        out
    }

    fn read(&mut self, os: &mut dyn Os) {
        os.write(Stream::Stderr, &Self::head(&self.name, self.header));
        if let Some(path) = &self.tcpdump.options.write {
            self.tcpdump.file = self.header.emit();
            if let Err(errno) = os.write_file(path, &[]) {
                os.write(Stream::Stderr, &format!("tcpdump: {path}: {}\n", errno.text()));
                return os.exit(1);
            }
        }
        let (mut out, mut found) = (String::new(), 0_u32);
        for record in std::mem::take(&mut self.records) {
            let mut bytes = record.bytes;
            let mut length = record.length as usize;
            if self.header.link == LINK_RAW {
                bytes.splice(..0, NO_HEADER);
                length += NO_HEADER.len();
            }
            let seen = Seen { bytes: &bytes, outbound: false, ifindex: 0, vlan: None };
            if !self.tcpdump.options.filter.filter.matches(&seen) {
                continue;
            }
            found += 1;
            if self.counts {
                continue;
            }
            let index =
                bytes.get(4..8).map_or(0, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            let devices = &self.tcpdump.options.devices;
            let device = devices.iter().find(|(ifindex, _)| ifindex.0 == index);
            let device = device.map_or("", |(_, (name, _))| &**name).to_owned();
            let at = SimTime::from_unix(u64::from(record.secs), record.nanos);
            self.tcpdump.captured += 1;
            self.tcpdump.packet(os, &Packet { at, bytes: &bytes, length, device: &device }, &mut out);
            if self.tcpdump.is_full() {
                self.cut = None;
                break;
            }
        }
        if self.counts {
            let _ = writeln!(out, "{found} packet{}", if found == 1 { "" } else { "s" });
        }
        os.write(Stream::Stdout, &out);
        self.tcpdump.flush(os);
        if let Some(cut) = &self.cut {
            os.write(Stream::Stderr, &format!("tcpdump: pcap_loop: {cut}\n"));
        }
        os.exit(u8::from(self.cut.is_some()));
    }
}

impl Process for ReadFile {
    fn wake(&mut self, os: &mut dyn Os, _wake: Wake) {
        self.read(os);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
