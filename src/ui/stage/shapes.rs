//! The shapes of packets: each protocol its own, so that nothing depends on colour.

use crate::scene::Protocol;
use leptos::prelude::*;

/// The outline of a protocol's shape around the origin, for a radius of 10.
fn outline(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Arp => "M0,-12 L12,0 L0,12 L-12,0 Z",
        Protocol::Icmp => "M-10,0 A10,10 0 1,1 10,0 A10,10 0 1,1 -10,0 Z",
        Protocol::Tcp => "M-9,-9 H9 V9 H-9 Z",
        Protocol::Udp => "M-11,0 L-5.5,-9.5 H5.5 L11,0 L5.5,9.5 H-5.5 Z",
        Protocol::Other => "M0,-11 L11,8 H-11 Z",
    }
}

/// A packet's shape in an SVG, `size` times as large as a radius of 10.
#[component]
pub(in crate::ui) fn PacketShape(protocol: Protocol, #[prop(default = 1.0)] size: f64) -> impl IntoView {
    view! {
        <path
            class=format!("packet packet-{}", protocol.slug())
            d=outline(protocol)
            transform=format!("scale({size})")
        ></path>
    }
}

/// A packet's shape in running text.
#[component]
pub(in crate::ui) fn Legend(protocol: Option<Protocol>) -> impl IntoView {
    view! {
        <svg class="legend-shape" viewBox="-13 -13 26 26" width="16" height="16" aria-hidden="true">
            {match protocol {
                Some(protocol) => view! { <PacketShape protocol/> }.into_any(),
                None => view! { <rect class="ring" x="-11" y="-8" width="22" height="16" rx="8"></rect><circle class="ring-core" r="3"></circle> }.into_any(),
            }}
        </svg>
    }
}
