//! How long things take. Simplified: each kind of work takes a fixed time, so that a timeline reads naturally; the
//! defaults are near the medians measured on a real kernel, rounded. A cluster document may set them
//! (`spec.network.delays`).

use crate::base::Duration;

/// Delays of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delays {
    /// From one end of a veth pair to the other.
    pub veth: Duration,
    /// From one end of a cable to the other.
    pub link: Duration,
    /// A bridge choosing a port.
    pub bridge: Duration,
    /// Each further copy when a bridge floods.
    pub copy: Duration,
    /// netfilter's hooks for a packet that crosses the machine, routed or bridged.
    pub netfilter: Duration,
    /// Routing a packet through.
    pub forward: Duration,
    /// A packet for this machine reaching its protocol or socket, and the answer being made.
    pub input: Duration,
    /// From data's reaching a socket to its process's having done something about it.
    pub wakeup: Duration,
    /// A packet of this machine's own on its way to the device.
    pub output: Duration,
    /// Putting a frame into VXLAN.
    pub vxlan: Duration,
    /// Putting a packet into IPIP or GRE.
    pub tunnel: Duration,
    /// From the carrier's coming up to a bridge port's forwarding (`linkwatch_event`).
    pub linkwatch: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            veth: Duration::from_us(1),
            link: Duration::from_us(2),
            bridge: Duration::from_us(4),
            copy: Duration::from_us(2),
            netfilter: Duration::from_us(20),
            forward: Duration::from_us(10),
            input: Duration::from_us(10),
            wakeup: Duration::from_us(25),
            output: Duration::from_us(3),
            vxlan: Duration::from_us(6),
            tunnel: Duration::from_us(5),
            linkwatch: Duration::from_us(200),
        }
    }
}
