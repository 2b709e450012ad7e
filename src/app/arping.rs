//! `arping` of iputils 20221126: ARP requests by hand, and announcements.
#![expect(
    clippy::format_push_string,
    reason = "a line is put together piece by piece, as the program prints it"
)]

use super::{CaptureFilter, Captured, Os, Process, Wake};
use crate::base::{Duration, IfIndex, Ipv4Addr, MacAddr, SimTime};
use crate::trace::{PacketType, Stream};
use crate::wire::filter::{Filter, Link, Setting};
use crate::wire::{Arp, ArpOp, Frame, Payload};

const TIMER_NEXT: u32 = 1;
const TIMER_FRAMES: u32 = 2;
const TIMER_DEADLINE: u32 = 3;

/// What the program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Asks who has the address.
    Ask,
    /// `-D`: asks whether somebody has it already.
    Duplicate,
    /// `-U`: announces by a request.
    Announce,
    /// `-A`: announces by an answer.
    Answer,
}

/// What the options of the command line ask for.
#[derive(Clone, Debug)]
pub struct ArpingOptions {
    /// Whom it is about.
    pub target: Ipv4Addr,
    /// The device, its name and its hardware address.
    pub device: (IfIndex, String, MacAddr),
    /// The sender's address.
    pub source: Ipv4Addr,
    /// What is done.
    pub mode: Mode,
    /// `-c`.
    pub count: Option<u32>,
    /// `-w`.
    pub deadline: Option<Duration>,
    /// `-i`.
    pub interval: Duration,
    /// `-b`: never by unicast.
    pub broadcast_only: bool,
    /// `-f`, and `-D` anyway.
    pub first_only: bool,
    /// `-q`.
    pub quiet: bool,
}

/// A running `arping`.
#[derive(Clone, Debug)]
pub struct Arping {
    options: ArpingOptions,
    /// To whom the next request goes: to everybody until somebody has answered.
    to: MacAddr,
    last: SimTime,
    sent: u32,
    broadcasts: u32,
    received: u32,
    requests_received: u32,
    broadcasts_received: u32,
}

impl Arping {
    /// A program that has not begun.
    pub fn new(options: ArpingOptions) -> Self {
        Self {
            options,
            to: MacAddr::BROADCAST,
            last: SimTime(0),
            sent: 0,
            broadcasts: 0,
            received: 0,
            requests_received: 0,
            broadcasts_received: 0,
        }
    }

    fn begin(&mut self, os: &mut dyn Os) {
        let (ifindex, name, _) = &self.options.device;
        let setting = Setting { link: Link::Ethernet, live: true, netmask: None, resolve: &|_| None };
        let filter = Filter::compile("arp", &setting).unwrap_or_default();
        let filter = CaptureFilter { filter, link: Link::Ethernet };
        if os.capture(Some(*ifindex), filter, false, TIMER_FRAMES).is_err() {
            return os.exit(2);
        }
        if !self.options.quiet {
            let line = format!("ARPING {} from {} {name}\n", self.options.target, self.options.source);
            os.write(Stream::Stdout, &line);
        }
        if let Some(deadline) = self.options.deadline {
            os.set_timer(TIMER_DEADLINE, deadline);
        }
        self.next(os);
    }

    /// Sends, or ends once enough was sent (`event_loop`).
    fn next(&mut self, os: &mut dyn Os) {
        if self.options.count.is_some_and(|count| self.sent >= count) {
            return self.finish(os);
        }
        let options = &self.options;
        let (ifindex, _, own) = options.device;
        let answers = options.mode == Mode::Answer;
        let arp = Arp {
            op: if answers { ArpOp::Reply } else { ArpOp::Request },
            sender_mac: own,
            sender_ip: options.source,
            target_mac: if answers { own } else { self.to },
            target_ip: options.target,
        };
        let to = self.to;
        let frame = Frame { dst: to, src: arp.sender_mac, payload: Payload::Arp(arp) };
        os.administer(&mut |netns, ctx| netns.send_by_hand(ctx, ifindex, frame.clone()));
        self.last = os.now();
        self.sent += 1;
        self.broadcasts += u32::from(self.to == MacAddr::BROADCAST);
        os.set_timer(TIMER_NEXT, self.options.interval);
    }

    fn take(&mut self, os: &mut dyn Os) {
        for captured in os.take_captured() {
            if self.is_answer(&captured) && self.answered(os, &captured) {
                return self.finish(os);
            }
        }
    }

    /// The checks of `recv_pack`.
    fn is_answer(&self, captured: &Captured) -> bool {
        let options = &self.options;
        let own = options.device.2;
        let Payload::Arp(arp) = &captured.frame.payload else { return false };
        if matches!(captured.received, None | Some(PacketType::OtherHost)) || arp.sender_ip != options.target
        {
            return false;
        }
        match options.mode {
            Mode::Duplicate => {
                arp.sender_mac != own && (options.source.is_unspecified() || options.source == arp.target_ip)
            }
            Mode::Ask | Mode::Announce | Mode::Answer => {
                arp.target_ip == options.source && arp.target_mac == own
            }
        }
    }

    /// Tells of an answer; whether it was the last that is wanted.
    fn answered(&mut self, os: &mut dyn Os, captured: &Captured) -> bool {
        let Payload::Arp(arp) = &captured.frame.payload else { return false };
        let is_unicast = captured.received == Some(PacketType::Host);
        let is_reply = arp.op == ArpOp::Reply;
        if !self.options.quiet {
            let way = if is_unicast { "Unicast" } else { "Broadcast" };
            let kind = if is_reply { "reply" } else { "request" };
            let mut line = format!("{way} {kind} from {} [{}] ", arp.sender_ip, upper(arp.sender_mac));
            let is_other = arp.target_ip != self.options.source;
            if is_other {
                line += &format!("for {} ", arp.target_ip);
            }
            if arp.target_mac != self.options.device.2 {
                line += if is_other { "" } else { "for " };
                line += &format!("[{}]", upper(arp.target_mac));
            }
            let us = captured.at.since(self.last).as_us();
            line += &format!(" {}.{:03}ms\n", us / 1000, us % 1000);
            os.write(Stream::Stdout, &line);
        }
        self.received += 1;
        self.requests_received += u32::from(!is_reply);
        self.broadcasts_received += u32::from(!is_unicast);
        if !self.options.broadcast_only {
            self.to = arp.sender_mac;
        }
        self.options.first_only
    }

    fn finish(&self, os: &mut dyn Os) {
        if !self.options.quiet {
            let mut text = format!("Sent {} probes ({} broadcast(s))\n", self.sent, self.broadcasts);
            text += &format!("Received {} response(s)", self.received);
            let kinds = [(self.requests_received, "request"), (self.broadcasts_received, "broadcast")];
            let told: Vec<String> = kinds
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, kind)| format!("{count} {kind}(s)"))
                .collect();
            if !told.is_empty() {
                text += &format!(" ({})", told.join(", "));
            }
            os.write(Stream::Stdout, &(text + "\n"));
        }
        let found = self.received > 0;
        os.exit(u8::from(match self.options.mode {
            Mode::Ask => !found,
            Mode::Duplicate => found,
            Mode::Announce | Mode::Answer => false,
        }));
    }
}

/// A hardware address with capital letters.
fn upper(mac: MacAddr) -> String {
    mac.to_string().to_uppercase()
}

impl Process for Arping {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Timer(TIMER_NEXT) => {
                self.take(os);
                self.next(os);
            }
            Wake::Timer(TIMER_FRAMES) => self.take(os),
            Wake::Timer(_) => {
                self.take(os);
                self.finish(os);
            }
            Wake::Interrupt | Wake::Terminate => self.finish(os),
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
