//! Connections as XML, and as the command that makes them (`-o xml`, `-o save`).

use super::{id, protocol_name};
use crate::trace::{ConntrackRow, Tuple};
use std::fmt::Write as _;

fn xml_direction(name: &str, tuple: &Tuple) -> String {
    let protocol = tuple.protocol;
    let ports = match protocol {
        6 | 17 | 33 | 132 | 136 => {
            format!("<sport>{}</sport><dport>{}</dport>", tuple.sport, tuple.dport)
        }
        _ => String::new(),
    };
    format!(
        "<meta direction=\"{name}\"><layer3 protonum=\"2\" protoname=\"ipv4\"><src>{}</src><dst>{}</dst></layer3>\
         <layer4 protonum=\"{protocol}\" protoname=\"{}\">{ports}</layer4></meta>",
        tuple.src,
        tuple.dst,
        protocol_name(protocol)
    )
}

pub(super) fn xml(row: &ConntrackRow, left: u64) -> String {
    let state = row.tcp.map_or_else(String::new, |tcp| format!("<state>{}</state>", tcp.name()));
    let flags = match (row.assured, row.seen_reply) {
        (true, _) => "<assured/>",
        (false, false) => "<unreplied/>",
        (false, true) => "",
    };
    format!(
        "<flow>{}{}<meta direction=\"independent\">{state}<timeout>{left}</timeout><mark>{}</mark><use>1</use>\
         <id>{}</id>{flags}</meta></flow>\n",
        xml_direction("original", &row.orig),
        xml_direction("reply", &row.reply),
        row.mark,
        id(row)
    )
}

pub(super) fn save(row: &ConntrackRow, left: u64) -> String {
    let status = match (row.seen_reply, row.assured) {
        (true, true) => "SEEN_REPLY,ASSURED",
        (true, false) => "SEEN_REPLY",
        (false, _) => "UNSET",
    };
    let (orig, reply) = (&row.orig, &row.reply);
    let mut out = format!(
        "-A -t {left} -u {status} -s {} -d {} -r {} -q {} -p {}",
        orig.src,
        orig.dst,
        reply.src,
        reply.dst,
        protocol_name(orig.protocol)
    );
    if orig.protocol == 1 {
        let (kind, code) = (orig.dport >> 8, orig.dport & 0xff);
        let _ = write!(out, " --icmp-type {kind} --icmp-code {code} --icmp-id {}", orig.sport);
    } else {
        let _ = write!(
            out,
            " --sport {} --dport {} --reply-port-src {} --reply-port-dst {}",
            orig.sport, orig.dport, reply.sport, reply.dport
        );
    }
    if let Some(tcp) = row.tcp {
        let _ = write!(out, " --state {}", tcp.name());
    }
    if row.mark != 0 {
        let _ = write!(out, " -m {}", row.mark);
    }
    out + "\n"
}
