//! `tcpdump` 4.99 with libpcap 1.10: captures frames and prints them.

use super::{CaptureFilter, Captured, Os, Process, Wake};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::Stream;
use crate::wire::filter::Link;
use crate::wire::pcap::{self, Header, Record};
use crate::wire::print::{
    Conversations, Cooked, PacketKind, Printer, Style, ascii, hex, hex_and_ascii, network_offset,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// How the bytes of a packet are shown behind its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dump {
    /// Not at all.
    #[default]
    None,
    /// `-x`.
    Hex,
    /// `-X`.
    HexAndAscii,
    /// `-A`.
    Ascii,
}

/// What stands in front of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// The time of day.
    #[default]
    Clock,
    /// `-t`: nothing.
    None,
    /// `-tt`: seconds since 1970.
    Unix,
    /// `-ttt`: the time since the packet before.
    SincePrevious,
    /// `-tttt`: date and time of day.
    Date,
    /// `-ttttt`: the time since the first packet.
    SinceFirst,
}

/// Which frames are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    Both,
    /// `-Q in`.
    In,
    /// `-Q out`.
    Out,
}

/// What the command line asks for.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the program")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpdumpOptions {
    /// Name of the device, or `any`.
    pub device: String,
    /// Devices with their names and whether each is the loopback; of a capture on `any` all of them.
    pub devices: BTreeMap<IfIndex, (Arc<str>, bool)>,
    /// Whether the device has no Ethernet header.
    pub raw: bool,
    /// What the kernel lets through.
    pub filter: CaptureFilter,
    /// Whether the device is put into promiscuous mode: without `-p`.
    pub promiscuous: bool,
    /// How packets are printed.
    pub style: Style,
    /// How bytes are shown.
    pub dump: Dump,
    /// Whether the link header is among the bytes shown (`-xx`, `-XX`, `-AA`).
    pub dump_link: bool,
    /// `-c`.
    pub count: Option<u64>,
    /// What stands in front of a line.
    pub stamp: Stamp,
    /// `--nano`.
    pub nanoseconds: bool,
    /// `-#`.
    pub numbered: bool,
    /// `-s`: bytes of a packet that are taken.
    pub snaplen: usize,
    /// `-Q`.
    pub direction: Direction,
    /// `-w`: the file that packets are written to.
    pub write: Option<String>,
    /// Whether packets are printed: always without `-w`, and with `--print`.
    pub print: bool,
    /// `-U`: the file grows with each packet.
    pub unbuffered: bool,
}

mod read;

pub use read::ReadFile;

/// A running `tcpdump`.
#[derive(Clone, Debug)]
pub struct Tcpdump {
    options: TcpdumpOptions,
    conversations: Conversations,
    /// Packets printed.
    captured: u64,
    /// Packets that the filter let through.
    received: u64,
    /// What `-ttt` and `-ttttt` count from.
    reference: Option<SimTime>,
    /// What goes to the file of `-w`.
    file: Vec<u8>,
}

/// A packet as it is printed and written.
pub(super) struct Packet<'a> {
    /// When.
    pub(super) at: SimTime,
    /// With its link header: Ethernet's, or the cooked one.
    pub(super) bytes: &'a [u8],
    /// Length on the wire of all that.
    pub(super) length: usize,
    /// The device's name, of a cooked one.
    pub(super) device: &'a str,
}

/// The timer with which the kernel hands frames over.
const TIMER_FRAMES: u32 = 1;

impl Tcpdump {
    /// A `tcpdump` that has not begun yet.
    pub fn new(options: TcpdumpOptions) -> Self {
        Self {
            options,
            conversations: Conversations::default(),
            captured: 0,
            received: 0,
            reference: None,
            file: Vec::new(),
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let options = &self.options;
        let any = options.filter.link == Link::Cooked;
        let mut head = String::new();
        let (short, long) = link_name(header(options).link);
        if any {
            head += "tcpdump: data link type LINUX_SLL2\n";
        }
        head += "tcpdump: ";
        if options.style.verbosity == 0 && options.write.is_none() {
            head += "verbose output suppressed, use -v[v]... for full protocol decode\n";
        }
        let _ = writeln!(
            head,
            "listening on {}, link-type {short} ({long}), snapshot length {} bytes",
            options.device, options.snaplen
        );
        if let Some(path) = &options.write {
            self.file = header(options).emit();
            if let Err(errno) = os.write_file(path, &[]) {
                os.write(Stream::Stderr, &format!("tcpdump: {path}: {}\n", errno.text()));
                return os.exit(1);
            }
        }
        os.write(Stream::Stderr, &head);
        let options = &self.options;
        let device = if any { None } else { options.devices.keys().next().copied() };
        if let Err(errno) = os.capture(device, options.filter.clone(), options.promiscuous, TIMER_FRAMES) {
            os.write(Stream::Stderr, &format!("tcpdump: {}: {}\n", options.device, errno.text()));
            os.exit(1);
        }
    }

    /// Whether the count is reached.
    fn take(&mut self, os: &mut dyn Os) -> bool {
        let mut out = String::new();
        let frames = os.take_captured();
        self.received += frames.len() as u64;
        for frame in &frames {
            if self.is_full() {
                break;
            }
            if !self.is_wanted(frame) {
                continue;
            }
            self.captured += 1;
            self.tell(os, frame, &mut out);
        }
        os.write(Stream::Stdout, &out);
        if self.options.unbuffered {
            self.flush(os);
        }
        self.is_full()
    }

    fn is_full(&self) -> bool {
        self.options.count.is_some_and(|count| self.captured >= count)
    }

    /// On the loopback a packet is seen twice, and the library leaves the first out.
    fn is_wanted(&self, frame: &Captured) -> bool {
        let loops = self.options.devices.get(&frame.ifindex).is_some_and(|(_, loopback)| *loopback);
        match frame.received {
            None => !loops && self.options.direction != Direction::In,
            Some(_) => self.options.direction != Direction::Out,
        }
    }

    fn tell(&mut self, os: &dyn Os, captured: &Captured, out: &mut String) {
        let whole = captured.bytes();
        let is_cooked = self.options.filter.link == Link::Cooked;
        let bytes = if is_cooked { captured.cooked(&whole) } else { whole };
        let device = self.options.devices.get(&captured.ifindex).map_or("", |(name, _)| &**name).to_owned();
        let taken = &bytes[..bytes.len().min(self.options.snaplen)];
        let packet = Packet { at: captured.at, bytes: taken, length: bytes.len(), device: &device };
        self.packet(os, &packet, out);
    }

    /// Prints a packet, or writes it to the file.
    pub(super) fn packet(&mut self, os: &dyn Os, packet: &Packet<'_>, out: &mut String) {
        if self.options.print {
            *out += &self.line(os, packet);
        }
        if self.options.write.is_some() {
            // A device without link headers has none in the file either.
            let shown = if self.options.raw { network_offset(packet.bytes) } else { 0 };
            let record = Record {
                secs: packet.at.unix_secs() as u32,
                nanos: (packet.at.0 % 1_000_000_000) as u32,
                length: (packet.length - shown) as u32,
                bytes: packet.bytes[shown..].to_vec(),
            };
            header(&self.options).append(&mut self.file, &record);
        }
    }

    /// Writes the file as it is by now.
    pub(super) fn flush(&self, os: &mut dyn Os) {
        if let Some(path) = &self.options.write {
            os.write_file(path, &self.file).ok();
        }
    }

    fn line(&mut self, os: &dyn Os, packet: &Packet<'_>) -> String {
        let mut out = String::new();
        if self.options.numbered {
            let _ = write!(out, "{:5}  ", self.captured);
        }
        out += &self.stamp(packet.at);
        let names = |addr: Ipv4Addr| os.name_of(addr);
        let printer = Printer::new(self.options.style, &mut self.conversations, &names);
        let (text, network) = if self.options.filter.link == Link::Cooked {
            let (header, rest) = cooked(packet);
            (printer.cooked(&header, rest, packet.length.saturating_sub(COOKED_LEN)), COOKED_LEN)
        } else {
            (printer.ethernet(packet.bytes, packet.length), network_offset(packet.bytes))
        };
        out += &text;
        let shown = if self.options.dump_link && !self.options.raw { 0 } else { network };
        let shown = packet.bytes.get(shown..).unwrap_or_default();
        out += &match self.options.dump {
            Dump::None => String::new(),
            Dump::Hex => hex(shown),
            Dump::HexAndAscii => hex_and_ascii(shown),
            Dump::Ascii => ascii(shown),
        };
        out + "\n"
    }

    fn stamp(&mut self, at: SimTime) -> String {
        let reference = *self.reference.get_or_insert(at);
        let fraction = |ns: u64| {
            if self.options.nanoseconds {
                format!("{:09}", ns % 1_000_000_000)
            } else {
                format!("{:06}", ns % 1_000_000_000 / 1000)
            }
        };
        let date = at.calendar();
        let clock = format!("{:02}:{:02}:{:02}.{}", date.hour, date.minute, date.second, fraction(at.0));
        match self.options.stamp {
            Stamp::Clock => clock + " ",
            Stamp::None => String::new(),
            Stamp::Unix => format!("{}.{} ", at.unix_secs(), fraction(at.0)),
            Stamp::Date => format!("{}-{:02}-{:02} {clock} ", date.year, date.month, date.day),
            Stamp::SincePrevious | Stamp::SinceFirst => {
                let since: Duration = at.since(reference);
                let secs = since.as_secs();
                let (hours, minutes, seconds) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
                let text = format!(" {hours:02}:{minutes:02}:{seconds:02}.{} ", fraction(since.0));
                if self.options.stamp == Stamp::SincePrevious {
                    self.reference = Some(at);
                }
                text
            }
        }
    }

    fn end(&self, os: &mut dyn Os) {
        self.flush(os);
        let packets = |count: u64| format!("{count} packet{}", if count == 1 { "" } else { "s" });
        let text = format!(
            "{} captured\n{} received by filter\n0 packets dropped by kernel\n",
            packets(self.captured),
            packets(self.received)
        );
        os.write(Stream::Stderr, &text);
        os.exit(0);
    }
}

/// Length of a cooked header, version 2.
const COOKED_LEN: usize = 20;

/// Takes a cooked header off.
fn cooked<'a>(packet: &Packet<'a>) -> (Cooked<'a>, &'a [u8]) {
    let byte = |at: usize| packet.bytes.get(at).copied().unwrap_or_default();
    let header = Cooked {
        interface: packet.device,
        ifindex: u32::from_be_bytes(std::array::from_fn(|at| byte(4 + at))),
        kind: match byte(10) {
            0 => PacketKind::In,
            1 => PacketKind::Broadcast,
            2 => PacketKind::Multicast,
            3 => PacketKind::OtherHost,
            _ => PacketKind::Out,
        },
        source: Some(MacAddr(std::array::from_fn(|at| byte(12 + at)))),
        ethertype: u16::from_be_bytes([byte(0), byte(1)]),
    };
    (header, packet.bytes.get(COOKED_LEN..).unwrap_or_default())
}

/// The head of the file that is written.
fn header(options: &TcpdumpOptions) -> Header {
    let link = match (options.filter.link, options.raw) {
        (Link::Cooked, _) => pcap::LINK_SLL2,
        (Link::Ethernet, true) => pcap::LINK_RAW,
        (Link::Ethernet, false) => pcap::LINK_ETHERNET,
    };
    Header { nanoseconds: options.nanoseconds, snaplen: options.snaplen as u32, link }
}

/// Name and description of a kind of link header.
pub(super) fn link_name(link: u32) -> (&'static str, &'static str) {
    match link {
        pcap::LINK_SLL2 => ("LINUX_SLL2", "Linux cooked v2"),
        pcap::LINK_RAW => ("RAW", "Raw IP"),
        _ => ("EN10MB", "Ethernet"),
    }
}

impl Process for Tcpdump {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(_) => {
                if self.take(os) {
                    self.end(os);
                }
            }
            Wake::Interrupt | Wake::Terminate => {
                self.take(os);
                if self.options.print {
                    os.write(Stream::Stdout, "\n");
                }
                self.end(os);
            }
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }

    fn handles_termination(&self) -> bool {
        true
    }
}
