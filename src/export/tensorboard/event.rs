//! TensorFlow's `Event` messages, as far as scalars and hyperparameters need them, in protobuf's wire format. Field
//! numbers are those of `event.proto`, `summary.proto` and TensorBoard's `hparams/plugin_data.proto`.

use serde_json::Value;

/// One message, laid out.
#[derive(Debug)]
pub struct Event(Message);

impl Event {
    /// The first of a file.
    pub fn version(wall_time: f64) -> Self {
        let mut event = Message::default();
        event.double(1, wall_time);
        event.text(3, "brain.Event:2");
        Self(event)
    }

    /// Values of one step; those that are not there, or too large for single precision, are left out.
    pub fn scalars<'v>(
        wall_time: f64,
        step: u64,
        values: impl IntoIterator<Item = (&'v str, f64)>,
    ) -> Self {
        let mut summary = Message::default();
        let single = values.into_iter().map(|(tag, x)| (tag, x as f32));
        for (tag, x) in single.filter(|(_, x)| x.is_finite()) {
            let mut value = Message::default();
            value.text(1, tag);
            value.float(2, x);
            summary.message(1, &value);
        }
        let mut event = Message::default();
        event.double(1, wall_time);
        event.integer(2, step);
        event.message(5, &summary);
        Self(event)
    }

    /// The settings of a run for TensorBoard's page of hyperparameters.
    pub fn settings(wall_time: f64, settings: &[(String, Value)]) -> Self {
        let mut session = Message::default();
        for (key, value) in settings {
            let mut entry = Message::default();
            entry.text(1, key);
            entry.message(2, &constant(value));
            session.message(1, &entry);
        }
        session.double(5, wall_time);
        let mut content = Message::default();
        content.message(3, &session);
        let mut plugin = Message::default();
        plugin.text(1, "hparams");
        plugin.message(2, &content);
        let mut metadata = Message::default();
        metadata.message(1, &plugin);
        let mut value = Message::default();
        value.text(1, "_hparams_/session_start_info");
        value.message(9, &metadata);
        let mut summary = Message::default();
        summary.message(1, &value);
        let mut event = Message::default();
        event.double(1, wall_time);
        event.message(5, &summary);
        Self(event)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }
}

/// A setting as `google.protobuf.Value`.
fn constant(value: &Value) -> Message {
    let mut message = Message::default();
    match value {
        Value::Number(number) => message.double(2, number.as_f64().unwrap_or_default()),
        Value::String(text) => message.text(3, text),
        Value::Bool(truth) => message.integer(4, (*truth).into()),
        other => message.text(3, &other.to_string()),
    }
    message
}

/// A message under way: fields behind each other, each after its number and the way it is laid out.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn integer(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Message) {
        self.bytes(field, &message.0);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
