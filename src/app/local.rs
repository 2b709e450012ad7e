//! Programs that talk inside one machine: `nc -U` over a UNIX socket, and what reads and writes named pipes.

use super::{Errno, Input, Os, Process, Shutdown, Wake};
use crate::base::SocketId;
use crate::trace::Stream;

/// Bytes taken at once.
const CHUNK: usize = 16_384;

/// `nc -U PATH`, and with `-l` the server.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own, or a fact of its own")]
pub struct UnixNc {
    program: String,
    path: String,
    listens: bool,
    keeps: bool,
    verbose: bool,
    shuts_down: bool,
    listener: SocketId,
    socket: SocketId,
    unsent: Vec<u8>,
    input_over: bool,
}

impl UnixNc {
    /// By the name it was called by; `flags` are `-l`, `-k`, `-v` and `-N`.
    pub fn new(program: &str, path: &str, [listens, keeps, verbose, shuts_down]: [bool; 4]) -> Self {
        Self {
            program: program.to_owned(),
            path: path.to_owned(),
            listens,
            keeps,
            verbose,
            shuts_down,
            listener: SocketId::NONE,
            socket: SocketId::NONE,
            unsent: Vec::new(),
            input_over: false,
        }
    }

    fn fail(&self, os: &mut dyn Os, errno: Errno) {
        let text = errno.text();
        let name = if self.listens { String::new() } else { format!("{}: ", self.path) };
        os.write(Stream::Stderr, &format!("{}: {name}{text}\n", self.program));
        os.exit(1);
    }

    fn begin(&mut self, os: &mut dyn Os) {
        if self.listens {
            match os.local_listen(&self.path) {
                Ok(listener) => {
                    self.listener = listener;
                    if self.verbose {
                        os.write(
                            Stream::Stderr,
                            &format!("Bound on {}\nListening on {}\n", self.path, self.path),
                        );
                    }
                }
                Err(errno) => self.fail(os, errno),
            }
            return;
        }
        match os.local_connect(&self.path) {
            Ok(socket) => {
                self.socket = socket;
                self.carry(os);
            }
            Err(errno) => self.fail(os, errno),
        }
    }

    /// Both ways, until nothing moves.
    fn carry(&mut self, os: &mut dyn Os) {
        while self.socket.is_some() && !self.input_over {
            match os.read_input() {
                Input::Data(data) => self.unsent.extend_from_slice(&data),
                Input::Pending => break,
                Input::End => self.input_over = true,
            }
        }
        while self.socket.is_some() && !self.unsent.is_empty() {
            match os.send(self.socket, &self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::Eagain) => break,
                Err(_) => return self.over(os),
            }
        }
        if self.input_over && self.unsent.is_empty() && self.shuts_down && self.socket.is_some() {
            // A peer that is gone already needs no word of it.
            let _ = os.shutdown(self.socket, Shutdown::Write);
            self.shuts_down = false;
        }
        while self.socket.is_some() {
            match os.receive_stream(self.socket, CHUNK) {
                Ok(data) if data.is_empty() => return self.over(os),
                Ok(data) => os.write(Stream::Stdout, &String::from_utf8_lossy(&data)),
                Err(Errno::Eagain) => return,
                Err(_) => return self.over(os),
            }
        }
    }

    fn over(&mut self, os: &mut dyn Os) {
        os.close(self.socket);
        self.socket = SocketId::NONE;
        if self.listens && self.keeps {
            self.accept(os);
        } else {
            os.exit(0);
        }
    }

    fn accept(&mut self, os: &mut dyn Os) {
        if self.socket.is_some() {
            return;
        }
        if let Ok((socket, _)) = os.accept(self.listener) {
            self.socket = socket;
            if self.verbose {
                os.write(Stream::Stderr, &format!("Connection received on {}\n", self.path));
            }
            self.carry(os);
        }
    }
}

impl Process for UnixNc {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => self.begin(os),
            Wake::Readable(socket) if socket == self.listener => self.accept(os),
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input => self.carry(os),
            Wake::Interrupt => os.exit(130),
            Wake::Terminate => os.exit(143),
            Wake::Timer(_) => {}
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// Reads a named pipe until its last writer is gone (`cat FIFO`).
#[derive(Clone, Debug)]
pub struct FifoRead {
    path: String,
    socket: SocketId,
}

impl FifoRead {
    /// Of this path.
    pub fn new(path: &str) -> Self {
        Self { path: path.to_owned(), socket: SocketId::NONE }
    }
}

impl Process for FifoRead {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => match os.fifo_open(&self.path, false) {
                Ok(socket) => self.socket = socket,
                Err(errno) => {
                    os.write(Stream::Stderr, &format!("cat: {}: {}\n", self.path, errno.text()));
                    return os.exit(1);
                }
            },
            Wake::Interrupt => return os.exit(130),
            Wake::Terminate => return os.exit(143),
            Wake::Readable(_) | Wake::Writable(_) | Wake::Input | Wake::Timer(_) => {}
        }
        loop {
            match os.receive_stream(self.socket, CHUNK) {
                Ok(data) if data.is_empty() => return os.exit(0),
                Ok(data) => os.write(Stream::Stdout, &String::from_utf8_lossy(&data)),
                Err(Errno::Eagain) => return,
                Err(_) => return os.exit(1),
            }
        }
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}

/// Writes into a named pipe, once somebody reads it (`… > FIFO`).
#[derive(Clone, Debug)]
pub struct FifoWrite {
    path: String,
    data: Vec<u8>,
    socket: SocketId,
    /// The status it ends with: that of the command whose output it is.
    status: u8,
}

impl FifoWrite {
    /// To this path.
    pub fn new(path: &str, data: Vec<u8>, status: u8) -> Self {
        Self { path: path.to_owned(), data, socket: SocketId::NONE, status }
    }
}

impl Process for FifoWrite {
    fn wake(&mut self, os: &mut dyn Os, wake: Wake) {
        match wake {
            Wake::Start => match os.fifo_open(&self.path, true) {
                Ok(socket) => self.socket = socket,
                Err(errno) => {
                    os.write(
                        Stream::Stderr,
                        &format!("sh: 1: cannot create {}: {}\n", self.path, errno.text()),
                    );
                    return os.exit(2);
                }
            },
            Wake::Interrupt => return os.exit(130),
            Wake::Terminate => return os.exit(143),
            // Whoever opened the other end lets this one begin.
            Wake::Writable(_) | Wake::Readable(_) | Wake::Input | Wake::Timer(_) => {}
        }
        if matches!(wake, Wake::Start) {
            return;
        }
        while !self.data.is_empty() {
            match os.send(self.socket, &self.data) {
                Ok(count) => drop(self.data.drain(..count)),
                Err(Errno::Eagain) => return,
                Err(_) => return os.exit(141),
            }
        }
        os.close(self.socket);
        os.exit(self.status);
    }

    fn boxed_clone(&self) -> Box<dyn Process> {
        Box::new(self.clone())
    }
}
