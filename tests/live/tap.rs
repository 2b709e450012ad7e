//! Captures every interface of a network namespace, as the simulator's taps do: one `AF_PACKET` socket that is bound to no
//! interface, in a process of its own that stands in the namespace.
//!
//! Frames come through a ring that the kernel copies them into when it shows them (`packet(7)`, `PACKET_RX_RING`). What
//! plain `recv` gives shares its bytes with the packet under way: by the time it is read, a fragment can have been
//! rewritten by later hops.
#![expect(
    unsafe_code,
    reason = "the ring is memory shared with the kernel, and no safe crate offers it with direction"
)]

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

const FRAME_LEN: usize = 1 << 14;
const BLOCK_LEN: usize = 1 << 18;
const BLOCKS: usize = 128;
const FRAMES: usize = BLOCK_LEN / FRAME_LEN * BLOCKS;

/// Captures until standard input ends, into the file `path`. Says `ready` once it sees everything, and at the end how many
/// frames the ring had no room for.
pub(crate) fn run(path: &str) -> io::Result<()> {
    let ring = Ring::open()?;
    let mut file = BufWriter::new(File::create(path)?);
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    out.flush()?;
    let mut at = 0;
    loop {
        let stopped = ring.wait()?;
        while ring.take(at, &mut file)? {
            at = (at + 1) % FRAMES;
        }
        if stopped {
            file.flush()?;
            writeln!(out, "{}", ring.lost()?)?;
            return out.flush();
        }
    }
}

struct Ring {
    socket: OwnedFd,
    memory: *mut u8,
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, which is the size of what the pointer points to.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), len)
    };
    checked(result).map(drop)
}

impl Ring {
    fn open() -> io::Result<Self> {
        // SAFETY: a plain system call; protocol 0 sees nothing until the socket is bound.
        let fd = checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        set(&socket, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V2 as i32))?;
        let request = libc::tpacket_req {
            tp_block_size: BLOCK_LEN as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: FRAME_LEN as u32,
            tp_frame_nr: FRAMES as u32,
        };
        set(&socket, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a mapping of its own of exactly the ring's size, which `Ring` never hands out.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK_LEN * BLOCKS,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all zeros is a valid address of this kind.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the kernel reads an address of the size given.
        checked(unsafe { libc::bind(socket.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) })?;
        Ok(Self { socket, memory: memory.cast() })
    }

    /// Waits for frames; whether standard input has ended.
    fn wait(&self) -> io::Result<bool> {
        let poll = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [poll(self.socket.as_raw_fd()), poll(0)];
        // SAFETY: two entries are passed and their number said. An error, as of an interface that goes down, is read off.
        checked(unsafe { libc::poll(fds.as_mut_ptr(), 2, -1) })?;
        if fds[0].revents & libc::POLLERR != 0 {
            let (mut error, mut len) = (0_i32, size_of::<i32>() as libc::socklen_t);
            // SAFETY: the kernel writes one number of the size given.
            checked(unsafe {
                libc::getsockopt(
                    self.socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    libc::SO_ERROR,
                    std::ptr::from_mut(&mut error).cast(),
                    &raw mut len,
                )
            })?;
        }
        Ok(fds[1].revents != 0)
    }

    /// Writes the frame in place `at` of the ring down and gives the place back; `false` where the kernel still has it.
    fn take(&self, at: usize, file: &mut impl io::Write) -> io::Result<bool> {
        // SAFETY: `at` is less than the number of places, so the place lies within the mapping.
        let place = unsafe { self.memory.add(at * FRAME_LEN) };
        // SAFETY: a place begins with this header, aligned to 16; its first word is shared with the kernel.
        let status = unsafe { AtomicU32::from_ptr(place.cast()) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return Ok(false);
        }
        // SAFETY: until the status is given back the kernel leaves the place alone, and its header says where within the
        // place the address and the bytes lie.
        let (header, address, bytes) = unsafe {
            let header = place.cast::<libc::tpacket2_hdr>().read_unaligned();
            let after = size_of::<libc::tpacket2_hdr>().next_multiple_of(16);
            let address = place.add(after).cast::<libc::sockaddr_ll>().read_unaligned();
            let bytes =
                std::slice::from_raw_parts(place.add(usize::from(header.tp_mac)), header.tp_snaplen as usize);
            (header, address, bytes)
        };
        let at_ns = u64::from(header.tp_sec) * 1_000_000_000 + u64::from(header.tp_nsec);
        file.write_all(&at_ns.to_le_bytes())?;
        file.write_all(&address.sll_ifindex.to_le_bytes())?;
        file.write_all(&u32::from(address.sll_pkttype).to_le_bytes())?;
        file.write_all(&header.tp_len.to_le_bytes())?;
        file.write_all(&header.tp_snaplen.to_le_bytes())?;
        file.write_all(bytes)?;
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        Ok(true)
    }

    /// How many frames found no room.
    fn lost(&self) -> io::Result<u32> {
        let mut stats = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the kernel writes the counters of the size given.
        checked(unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                std::ptr::from_mut(&mut stats).cast(),
                &raw mut len,
            )
        })?;
        Ok(stats.tp_drops)
    }
}
