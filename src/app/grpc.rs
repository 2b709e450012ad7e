//! gRPC over HTTP/2 as far as the health protocol needs it (`grpc.health.v1.Health/Check`): one question and one answer,
//! bytes in and bytes out, framed as grpc-go does it.

use crate::wire::http2::{
    ACK, END_HEADERS, END_STREAM, Fields, Frame, FrameType, HeaderReader, HeaderWriter, MAX_FRAME, PREFACE,
};

/// The method of the health protocol.
const CHECK: &str = "/grpc.health.v1.Health/Check";
/// Number of a client's first stream (RFC 9113 section 5.1.1).
const FIRST_STREAM: u32 = 1;
/// What grpc-go puts into the ping with which it measures how much a connection carries (`bdpPing`).
const BDP_PING: [u8; 8] = [2, 4, 16, 16, 9, 14, 7, 7];

/// What grpc-go adds to the name that a client gives itself.
pub(super) const LIBRARY: &str = "grpc-go/1.72.2";

/// States of a service (`HealthCheckResponse.ServingStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// It is not known.
    Unknown,
    /// It serves.
    Serving,
    /// It does not.
    NotServing,
}

impl Serving {
    const ALL: [(u8, Self, &'static str); 3] =
        [(0, Self::Unknown, "UNKNOWN"), (1, Self::Serving, "SERVING"), (2, Self::NotServing, "NOT_SERVING")];

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, _, known)| *known == name).map(|(_, state, _)| *state)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, state, _)| *state == self).map_or("UNKNOWN", |(_, _, name)| name)
    }

    fn number(self) -> u8 {
        Self::ALL.iter().find(|(_, state, _)| *state == self).map_or(0, |(number, ..)| *number)
    }

    fn of_number(number: u8) -> Self {
        Self::ALL.iter().find(|(known, ..)| *known == number).map_or(Self::Unknown, |(_, state, _)| *state)
    }
}

/// How a call failed: a code (`google.golang.org/grpc/codes`) and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) code: u32,
    pub(super) message: String,
}

/// `NotFound`.
pub(super) const NOT_FOUND: u32 = 5;
/// `Unimplemented`.
pub(super) const UNIMPLEMENTED: u32 = 12;
/// `Unavailable`.
const UNAVAILABLE: u32 = 14;

const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

impl Status {
    /// As Go prints it.
    pub(super) fn text(&self) -> String {
        let name = CODES
            .get(self.code as usize)
            .map_or_else(|| format!("Code({})", self.code), |name| (*name).to_owned());
        format!("rpc error: code = {name} desc = {}", self.message)
    }
}

/// What both ends have.
#[derive(Clone, Debug, Default)]
struct End {
    input: Vec<u8>,
    output: Vec<u8>,
    reader: HeaderReader,
    writer: HeaderWriter,
    /// Whether it has begun to measure the connection.
    measures: bool,
}

impl End {
    fn send(&mut self, kind: FrameType, flags: u8, stream: u32, payload: Vec<u8>) {
        Frame::new(kind, flags, stream, payload).write(&mut self.output);
    }

    fn send_fields(&mut self, flags: u8, fields: &[(&str, String)]) {
        let block = self.writer.write(fields);
        self.send(FrameType::Headers, flags | END_HEADERS, FIRST_STREAM, block);
    }

    /// A message with its prefix: not compressed, and its length.
    fn send_message(&mut self, flags: u8, message: &[u8]) {
        let mut payload = vec![0];
        payload.extend_from_slice(&(message.len() as u32).to_be_bytes());
        payload.extend_from_slice(message);
        self.send(FrameType::Data, flags, FIRST_STREAM, payload);
    }

    /// Answers what every end answers; gives frames that are about the call.
    fn housekeeping(&mut self, frame: Frame) -> Option<Frame> {
        match frame.kind {
            FrameType::Settings if frame.flags & ACK == 0 => {
                self.send(FrameType::Settings, ACK, 0, Vec::new());
                Some(frame)
            }
            FrameType::Ping => {
                if frame.flags & ACK == 0 {
                    self.send(FrameType::Ping, ACK, 0, frame.payload);
                }
                None
            }
            FrameType::Data => {
                // What was taken is given back before the ping, so that nothing on the way takes the ping for too many.
                if !frame.payload.is_empty() && !std::mem::replace(&mut self.measures, true) {
                    let taken = (frame.payload.len() as u32).to_be_bytes().to_vec();
                    self.send(FrameType::WindowUpdate, 0, 0, taken);
                    self.send(FrameType::Ping, 0, 0, BDP_PING.to_vec());
                }
                Some(frame)
            }
            FrameType::Headers | FrameType::RstStream | FrameType::Goaway => Some(frame),
            FrameType::Settings | FrameType::WindowUpdate | FrameType::Other(_) => None,
        }
    }
}

/// Tag of `HealthCheckRequest.service`: field 1, length-delimited.
const SERVICE_TAG: u8 = 0x0a;
/// Tag of `HealthCheckResponse.status`: field 1, a number.
const STATUS_TAG: u8 = 0x08;

/// A number as Protocol Buffers write it: seven bits an octet, the low ones first.
fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads one, and what comes after it.
fn varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let len = bytes.iter().take(4).position(|octet| octet & 0x80 == 0)? + 1;
    let (octets, rest) = bytes.split_at(len);
    Some((octets.iter().rev().fold(0, |value, octet| value << 7 | usize::from(octet & 0x7f)), rest))
}

/// The service that a question is about.
fn service_of(request: &[u8]) -> Option<&[u8]> {
    match request {
        [] => Some(&[]),
        [SERVICE_TAG, rest @ ..] => varint(rest).and_then(|(len, rest)| rest.get(..len)),
        _ => None,
    }
}

/// A time as the field `grpc-timeout` has it: eight digits at most (`EncodeDuration`).
fn timeout_text(micros: u64) -> String {
    const MOST: u64 = 99_999_999;
    match micros {
        0..=MOST => format!("{micros}u"),
        _ if micros.div_ceil(1000) <= MOST => format!("{}m", micros.div_ceil(1000)),
        _ => format!("{}S", micros.div_ceil(1_000_000)),
    }
}

/// The message in the data of a stream, without its prefix.
fn message(payload: &[u8]) -> Option<&[u8]> {
    let [0, l1, l2, l3, l4, rest @ ..] = payload else { return None };
    rest.get(..u32::from_be_bytes([*l1, *l2, *l3, *l4]) as usize)
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// How far a client has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It waits.
    More,
    /// The far end speaks HTTP/2, and can be asked.
    Ready,
    /// It has answered.
    Answered(Serving),
    /// It has answered that the call failed.
    Failed(Status),
    /// It does not speak HTTP/2.
    Broken,
}

/// A client that asks once.
#[derive(Clone, Debug)]
pub(super) struct Client {
    end: End,
    is_ready: bool,
    /// What has come of the answer.
    answer: Vec<u8>,
}

impl Client {
    /// A client whose first words are there at once: two pieces, each written by itself.
    pub(super) fn new() -> (Self, [Vec<u8>; 2]) {
        let mut end = End::default();
        end.send(FrameType::Settings, 0, 0, Vec::new());
        let settings = std::mem::take(&mut end.output);
        (Self { end, is_ready: false, answer: Vec::new() }, [PREFACE.to_vec(), settings])
    }

    /// Asks about a service.
    pub(super) fn ask(&mut self, service: &str, authority: String, agent: &str, micros: u64) {
        let fields = [
            (":method", "POST".to_owned()),
            (":scheme", "http".to_owned()),
            (":path", CHECK.to_owned()),
            (":authority", authority),
            ("content-type", "application/grpc".to_owned()),
            ("user-agent", agent.to_owned()),
            ("te", "trailers".to_owned()),
            ("grpc-timeout", timeout_text(micros)),
        ];
        self.end.send_fields(0, &fields);
        // `HealthCheckRequest.service`, which is left out where it is empty.
        let mut request = Vec::new();
        if !service.is_empty() {
            request.push(SERVICE_TAG);
            put_varint(&mut request, service.len());
            request.extend_from_slice(service.as_bytes());
        }
        self.end.send_message(END_STREAM, &request);
    }

    /// Says that it goes.
    pub(super) fn say_goodbye(&mut self) {
        self.end.send(FrameType::Goaway, 0, 0, vec![0; 8]);
    }

    /// Takes what has to go out.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.end.output)
    }

    /// Takes what came in.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) -> Outcome {
        self.end.input.append(bytes);
        loop {
            match Frame::take(&mut self.end.input) {
                // Its first words are its settings.
                Ok(Some(frame)) if !self.is_ready && frame.kind != FrameType::Settings => {
                    return Outcome::Broken;
                }
                Ok(Some(frame)) => {
                    let outcome = self.frame(frame);
                    if outcome != Outcome::More {
                        return outcome;
                    }
                }
                Ok(None) => return Outcome::More,
                Err(_) => return Outcome::Broken,
            }
        }
    }

    fn frame(&mut self, frame: Frame) -> Outcome {
        let Some(frame) = self.end.housekeeping(frame) else { return Outcome::More };
        match frame.kind {
            FrameType::Settings if !std::mem::replace(&mut self.is_ready, true) => Outcome::Ready,
            FrameType::Headers => {
                let Some(fields) = self.end.reader.read(&frame.payload) else { return Outcome::Broken };
                if frame.flags & END_STREAM == 0 {
                    return Outcome::More;
                }
                let code = field(&fields, "grpc-status").and_then(|code| code.parse().ok()).unwrap_or(2);
                let message = field(&fields, "grpc-message").unwrap_or("").to_owned();
                if code != 0 {
                    return Outcome::Failed(Status { code, message });
                }
                Outcome::Answered(match self::message(&self.answer) {
                    // The state is left out where it is 0.
                    Some([STATUS_TAG, number, ..]) => Serving::of_number(*number),
                    _ => Serving::Unknown,
                })
            }
            FrameType::Data => {
                self.answer.extend_from_slice(&frame.payload);
                Outcome::More
            }
            FrameType::RstStream | FrameType::Goaway => {
                let message = "the server has gone away".to_owned();
                Outcome::Failed(Status { code: UNAVAILABLE, message })
            }
            FrameType::Settings | FrameType::Ping | FrameType::WindowUpdate | FrameType::Other(_) => {
                Outcome::More
            }
        }
    }
}

/// A question that came to a server: about which service.
pub(super) type Question = String;

/// A server's end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Server {
    end: End,
    /// How much of the client's first words is still to come.
    preface: &'static [u8],
    path: String,
    /// What has come of the question.
    question: Vec<u8>,
}

impl Server {
    /// A server's end; its first words are its settings.
    pub(super) fn new() -> Self {
        let mut end = End::default();
        let mut settings = vec![0, 5];
        settings.extend_from_slice(&(MAX_FRAME as u32).to_be_bytes());
        end.send(FrameType::Settings, 0, 0, settings);
        Self { end, preface: PREFACE, path: String::new(), question: Vec::new() }
    }

    /// Takes what has to go out.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.end.output)
    }

    /// Takes what came in: a question about a service where there is a whole one, or an error where the client does not
    /// speak HTTP/2.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) -> Result<Option<Question>, NotHttp2> {
        self.end.input.append(bytes);
        let known = self.preface.len().min(self.end.input.len());
        if self.end.input[..known] != self.preface[..known] {
            return Err(NotHttp2);
        }
        self.end.input.drain(..known);
        self.preface = &self.preface[known..];
        if !self.preface.is_empty() {
            return Ok(None);
        }
        while let Some(frame) = Frame::take(&mut self.end.input).map_err(|_| NotHttp2)? {
            let Some(frame) = self.end.housekeeping(frame) else { continue };
            match frame.kind {
                FrameType::Headers => {
                    let fields = self.end.reader.read(&frame.payload).ok_or(NotHttp2)?;
                    field(&fields, ":path").unwrap_or("").clone_into(&mut self.path);
                }
                FrameType::Data => {
                    self.question.extend_from_slice(&frame.payload);
                    if frame.flags & END_STREAM != 0
                        && let Some(service) = self.asked()?
                    {
                        return Ok(Some(service));
                    }
                }
                FrameType::RstStream
                | FrameType::Settings
                | FrameType::Ping
                | FrameType::Goaway
                | FrameType::WindowUpdate
                | FrameType::Other(_) => {}
            }
        }
        Ok(None)
    }

    /// All of a question has come: about which service, unless the call is of another kind, which is answered.
    fn asked(&mut self) -> Result<Option<Question>, NotHttp2> {
        let question = std::mem::take(&mut self.question);
        if self.path == CHECK {
            let service = message(&question).and_then(service_of).ok_or(NotHttp2)?;
            return Ok(Some(String::from_utf8_lossy(service).into_owned()));
        }
        let name = self.path.trim_start_matches('/').split('/').next().unwrap_or("");
        let message = format!("unknown service {name}");
        self.answer(&Err(Status { code: UNIMPLEMENTED, message }));
        Ok(None)
    }

    /// Answers the question.
    pub(super) fn answer(&mut self, answer: &Result<Serving, Status>) {
        let head = [(":status", "200".to_owned()), ("content-type", "application/grpc".to_owned())];
        let (code, message) = match answer {
            Ok(_) => (0, String::new()),
            Err(status) => (status.code, status.message.clone()),
        };
        let tail = [("grpc-status", code.to_string()), ("grpc-message", message)];
        let Ok(state) = answer else {
            return self.end.send_fields(END_STREAM, &[head, tail].concat());
        };
        self.end.send_fields(0, &head);
        let body = [STATUS_TAG, state.number()];
        self.end.send_message(0, if state.number() == 0 { &[] } else { &body });
        self.end.send_fields(END_STREAM, &tail);
    }
}

/// What came is not HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotHttp2;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server hears of a question about this service.
    fn heard(service: &str) -> String {
        let (mut client, words) = Client::new();
        let mut server = Server::new();
        client.take(&mut server.take_output());
        client.ask(service, "10.0.0.1:5000".to_owned(), "test", 1_000_000);
        let mut bytes = [words.concat(), client.take_output()].concat();
        server.take(&mut bytes).expect("HTTP/2").expect("a question")
    }

    #[test]
    fn names_of_every_length_arrive() {
        for len in [0, 1, 127, 128, 300, 5_000] {
            assert_eq!(heard(&"s".repeat(len)).len(), len);
        }
    }

    #[test]
    fn times_have_eight_digits_at_most() {
        let texts = [999_321, 99_999_999, 100_000_000, 3_600_000_000_000].map(timeout_text);
        assert_eq!(texts, ["999321u", "99999999u", "100000m", "3600000S"]);
    }

    #[test]
    fn an_answer_may_come_in_pieces() {
        let (mut client, words) = Client::new();
        let mut server = Server::new();
        assert_eq!(client.take(&mut server.take_output()), Outcome::Ready);
        client.ask("", "10.0.0.1:5000".to_owned(), "test", 1);
        let mut bytes = [words.concat(), client.take_output()].concat();
        assert_eq!(server.take(&mut bytes), Ok(Some(String::new())));
        server.answer(&Ok(Serving::NotServing));
        let mut outcome = Outcome::More;
        for byte in server.take_output() {
            assert_eq!(outcome, Outcome::More);
            outcome = client.take(&mut vec![byte]);
        }
        assert_eq!(outcome, Outcome::Answered(Serving::NotServing));
    }
}
