//! Identifiers: newtypes over `u32`, so that one kind of number is never taken for another.

use serde::{Deserialize, Serialize};

/// Longest name of an interface, in bytes (`IFNAMSIZ` without the closing NUL).
pub const IFNAME_LEN: usize = 15;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u32);

        impl $name {
            /// Stands for "none" where the field is too narrow for an `Option`.
            pub const NONE: Self = Self(u32::MAX);

            /// The identifier as an index into the vector that it numbers.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// Whether this is a real identifier and not [`Self::NONE`].
            pub fn is_some(self) -> bool {
                self != Self::NONE
            }
        }
    )*};
}

ids! {
    /// A Linux network namespace: a node's, a Pod's, or an outside host's.
    NetnsId;
    /// An interface's number inside its namespace, as `ip link` prints it. It starts at 1 (`lo`).
    IfIndex;
    /// An entry of the trace, in the order in which things happened.
    EventId;
    /// A packet stored in the trace; entries that saw the same bytes share one.
    PacketId;
    /// One `sk_buff`'s way through the network, from its making to its single end.
    JourneyId;
    /// A version of a table row stored in the trace.
    ChangeId;
    /// A piece of text that a process wrote.
    OutputId;
    /// A simulated process.
    ProcessId;
    /// A socket inside its namespace.
    SocketId;
    /// A PID namespace: a container's, a Pod's whose containers share one, a machine's.
    PidNsId;
    /// A directory tree of its own: a container's writable layer, or a volume.
    DirId;
}
