//! The receive window (`tcp_select_window`, `tcp_select_initial_window`, `tcp_grow_window`).

use super::control::Tcb;
use super::{INIT_CWND, MAX_QUICKACKS, MSS_DEFAULT, TCP_RMEM};
use crate::kernel::sock::truesize;

impl Tcb {
    /// Data that fits into `space` bytes of memory (`tcp_win_from_space`).
    fn win_from_space(&self, space: usize) -> u32 {
        ((space as u64 * u64::from(self.scaling_ratio)) >> 8) as u32
    }

    fn full_space(&self) -> u32 {
        self.win_from_space(self.rcvbuf)
    }

    /// `tcp_space`.
    fn space(&self) -> u32 {
        self.win_from_space(self.rcvbuf.saturating_sub(self.rmem))
    }

    /// `tcp_select_initial_window` for segments of `mss`.
    pub(super) fn select_initial_window(&mut self, mss: u32, scales: bool) {
        const CLAMP_MAX: u32 = (u16::MAX as u32) << 14;
        let clamp = if self.window_clamp == 0 { CLAMP_MAX } else { self.window_clamp };
        let mut space = self.full_space().min(clamp);
        if space > mss {
            space -= space % mss;
        }
        self.rcv_wnd = space;
        self.rcv_wscale = 0;
        if scales {
            let largest = (space.max(TCP_RMEM.1 as u32)).min(clamp);
            self.rcv_wscale = (largest.ilog2().saturating_sub(15)).min(14) as u8;
        }
        self.window_clamp = clamp.min(u32::from(u16::MAX) << self.rcv_wscale);
        self.rcv_ssthresh = self.rcv_wnd;
    }

    /// `tcp_init_buffer_space`.
    pub(super) fn init_buffer_space(&mut self) {
        self.expand_sndbuf();
        let full = self.full_space();
        if self.window_clamp >= full {
            self.window_clamp = full;
        }
        if self.window_clamp > 2 * self.advmss && self.window_clamp + self.advmss > full {
            self.window_clamp = (2 * self.advmss).max(full.saturating_sub(self.advmss));
        }
        self.rcv_ssthresh = self.rcv_ssthresh.min(self.window_clamp);
    }

    /// The send buffer grows with the congestion window (`tcp_sndbuf_expand`).
    pub(super) fn expand_sndbuf(&mut self) {
        let per_segment = truesize(self.mss_clamp.min(65_483).max(self.mss) as usize);
        let segments = self.cwnd.max(INIT_CWND) as usize;
        self.sndbuf = self.sndbuf.max((2 * segments * per_segment).min(super::TCP_WMEM.1));
    }

    /// `tcp_initialize_rcv_mss`.
    pub(super) fn initialize_rcv_mss(&mut self) {
        let hint = self.advmss.min(self.mss).min(self.rcv_wnd / 2);
        self.rcv_mss = hint.clamp(88, MSS_DEFAULT);
    }

    /// The window as last announced, from what was received since (`tcp_receive_window`).
    pub(super) fn receive_window(&self) -> u32 {
        let left = self.rcv_wup.wrapping_add(self.rcv_wnd).wrapping_sub(self.rcv_nxt) as i32;
        left.max(0).cast_unsigned()
    }

    /// The window for the next segment, as it goes into the header (`tcp_select_window`).
    pub(super) fn select_window(&mut self) -> u16 {
        let current = self.receive_window();
        let mut window = self.new_window();
        if window < current {
            window = align(current, self.rcv_wscale);
        }
        self.rcv_wnd = window;
        self.rcv_wup = self.rcv_nxt;
        (window.min(u32::from(u16::MAX) << self.rcv_wscale) >> self.rcv_wscale) as u16
    }

    /// `__tcp_select_window`.
    pub(super) fn new_window(&mut self) -> u32 {
        let (mut free, allowed) = (self.space(), self.full_space());
        let full = self.window_clamp.min(allowed);
        let mss = self.rcv_mss.min(full);
        if mss == 0 {
            return 0;
        }
        if free < full >> 1 {
            self.quick = 0;
            free = free >> self.rcv_wscale << self.rcv_wscale;
            if free < allowed >> 4 || free < mss {
                return 0;
            }
        }
        free = free.min(self.rcv_ssthresh);
        if self.rcv_wscale > 0 {
            return align(free, self.rcv_wscale);
        }
        let window = self.rcv_wnd;
        if window <= free.saturating_sub(mss) || window > free {
            free - free % mss
        } else if mss == full && free > window + (full >> 1) {
            free
        } else {
            window
        }
    }

    /// Learns the far end's segment size and how much memory its segments take (`tcp_measure_rcv_mss`).
    pub(super) fn measure_rcv_mss(&mut self, len: u32) {
        if len < self.rcv_mss {
            let full = std::mem::replace(&mut self.last_seg_size, len) == len && len >= MSS_DEFAULT;
            if full {
                self.rcv_mss = len;
            } else {
                self.pushed = (self.pushed + 1).min(2);
            }
            return;
        }
        if len != self.rcv_mss {
            let ratio = ((u64::from(len) << 8) / truesize(len as usize) as u64).clamp(1, 255) as u32;
            if ratio != self.scaling_ratio {
                self.scaling_ratio = ratio;
                let clamp = self.full_space();
                self.set_window_clamp(clamp);
            }
        }
        self.rcv_mss = len.min(self.advmss);
    }

    fn set_window_clamp(&mut self, clamp: u32) {
        let old = std::mem::replace(&mut self.window_clamp, clamp);
        if clamp < old {
            self.rcv_ssthresh = self.rcv_ssthresh.min(clamp);
        } else if clamp > old {
            self.rcv_ssthresh = self.rcv_ssthresh.max(self.rcv_wnd.min(clamp));
        }
    }

    /// `tcp_grow_window`, for a segment with `len` bytes of data.
    pub(super) fn grow_window(&mut self, len: u32) {
        let room = self.window_clamp.min(self.space()).saturating_sub(self.rcv_ssthresh);
        if room == 0 {
            return;
        }
        let size = truesize(len as usize);
        let step =
            if self.win_from_space(size) <= len { 2 * self.advmss } else { self.small_step(size, len) };
        if step > 0 {
            self.rcv_ssthresh += room.min(step.max(2 * len));
            self.quick |= 1;
        }
    }

    /// `__tcp_grow_window`.
    fn small_step(&self, size: usize, len: u32) -> u32 {
        let mut size = self.win_from_space(size) >> 1;
        let mut window = self.win_from_space(TCP_RMEM.1) >> 1;
        while self.rcv_ssthresh <= window {
            if size <= len {
                return 2 * self.rcv_mss;
            }
            size >>= 1;
            window >>= 1;
        }
        0
    }

    /// `tcp_incr_quickack`.
    pub(super) fn increase_quickack(&mut self, most: u32) {
        let acks = match self.rcv_wnd / (2 * self.rcv_mss.max(1)) {
            0 => 2,
            acks => acks,
        };
        self.quick = self.quick.max(acks.min(most.min(MAX_QUICKACKS)));
    }
}

/// Rounds up to a multiple of two to the power of `scale`.
fn align(value: u32, scale: u8) -> u32 {
    let unit = 1u32 << scale;
    value.div_ceil(unit) * unit
}
