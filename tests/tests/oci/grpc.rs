//! As much of gRPC as one call needs that sends one message and gets one: curl speaks HTTP/2 over the socket, and a message
//! is fields with a number each (protobuf.dev/programming-guides/encoding). A client made from the service's description
//! would bring a compiler for it, and more code than all these tests.

use bulkhead_tests::Host;

/// A message, to be sent or as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    pub(crate) fn new() -> Message {
        Message::default()
    }

    /// Sets a field that is a number, a choice, or yes or no.
    pub(crate) fn number(mut self, field: u32, value: u64) -> Message {
        self.varint(u64::from(field) << 3);
        self.varint(value);
        self
    }

    /// Sets a field that is text. One that is a list is set again for each of its members.
    pub(crate) fn text(self, field: u32, value: &str) -> Message {
        self.bytes(field, value.as_bytes())
    }

    /// Sets a field that is a list of texts.
    pub(crate) fn texts<'t>(self, field: u32, values: impl IntoIterator<Item = &'t str>) -> Message {
        values.into_iter().fold(self, |message, value| message.text(field, value))
    }

    /// Sets a field that is a message.
    pub(crate) fn message(self, field: u32, value: &Message) -> Message {
        self.bytes(field, &value.0)
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Message {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap());
    }

    /// A field that is a number; 0, as everything that is not set.
    pub(crate) fn get_number(&self, field: u32) -> u64 {
        self.fields().into_iter().find(|found| found.0 == field).map_or(0, |found| found.1)
    }

    /// A field that is text.
    pub(crate) fn get_text(&self, field: u32) -> String {
        String::from_utf8_lossy(&self.get(field).0).into_owned()
    }

    /// A field that is a message.
    pub(crate) fn get(&self, field: u32) -> Message {
        let found = self.fields().into_iter().find(|found| found.0 == field);
        Message(found.map_or_else(Vec::new, |found| found.2.to_vec()))
    }

    /// The fields in their order: number, value, content.
    fn fields(&self) -> Vec<(u32, u64, &[u8])> {
        let mut rest = self.0.as_slice();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let key = take_varint(&mut rest);
            let (value, length) = match key & 7 {
                0 => (take_varint(&mut rest), 0),
                1 => (0, 8),
                2 => (0, usize::try_from(take_varint(&mut rest)).unwrap()),
                5 => (0, 4),
                other => panic!("no such kind of field: {other}"),
            };
            let (content, after) = rest.split_at(length);
            rest = after;
            fields.push((u32::try_from(key >> 3).unwrap(), value, content));
        }
        fields
    }
}

fn take_varint(rest: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Calls a method (`package.Service/Method`) at a socket on the host; the error is the server's sentence.
#[track_caller]
pub(crate) fn call(host: &Host, socket: &str, method: &str, request: &Message) -> Result<Message, String> {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(request.0.len()).unwrap().to_be_bytes());
    framed.extend_from_slice(&request.0);
    let output = host
        .sh(&format!(
            "curl --silent --show-error --http2-prior-knowledge --unix-socket {socket} --dump-header /dev/stderr \
             -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- http://localhost/{method}"
        ))
        .stdin(framed)
        .run();
    output.succeeds();
    let said = output.stderr();
    let header = |name: &str| {
        said.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    match header("grpc-status:").as_deref() {
        Some("0") => Ok(Message(output.bytes()[5..].to_vec())),
        _ => Err(header("grpc-message:").unwrap_or(said)),
    }
}
