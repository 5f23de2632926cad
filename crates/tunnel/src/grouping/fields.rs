// SPDX-License-Identifier: BSD-2-Clause
//! The fields of an event that count for throttle and rules. <https://develop.sentry.dev/sdk/data-model/event-payloads/>, and the names that they had before.

use crate::json::{Cursor, Text};

/// Bytes of an event that are looked at: behind them nothing is known.
const LIMIT: usize = 64 * 1024;
/// Parts of a fingerprint that count.
const PARTS: usize = 16;

/// What an event says. What it does not say is empty.
#[derive(Clone, Debug, Default)]
pub struct Fields<'e> {
    pub event_id: Text<'e>,
    /// Its type, of which errors have none.
    pub kind: Text<'e>,
    pub level: Text<'e>,
    /// The parts of its fingerprint, a word for each.
    pub fingerprint: Vec<Text<'e>>,
    /// The last one, which is the one that was thrown.
    pub exception: Option<Exception<'e>>,
    /// A message with its placeholders, and with what they stand for.
    pub template: Text<'e>,
    pub formatted: Text<'e>,
    pub message: Text<'e>,
    pub transaction: Text<'e>,
    pub url: Text<'e>,
    pub user_agent: Text<'e>,
}

/// One of an event's exceptions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Exception<'e> {
    pub kind: Text<'e>,
    pub value: Text<'e>,
    /// Of its stack the innermost frame that is the application's, else the innermost one.
    pub frame: Option<Frame<'e>>,
    /// The file of the innermost frame that has one.
    pub source: Text<'e>,
}

/// A frame of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frame<'e> {
    pub module: Text<'e>,
    pub file: Text<'e>,
    pub function: Text<'e>,
    /// Numbers as they stand there.
    pub line: &'e [u8],
    pub column: &'e [u8],
    pub in_app: bool,
}

impl<'e> Fields<'e> {
    /// Reads an event. One that is too long or no JSON says what it says until there; half an exception says nothing.
    pub fn read(json: &'e [u8]) -> Fields<'e> {
        let mut fields = Fields::default();
        let mut cursor = Cursor::new(json.get(..LIMIT).unwrap_or(json));
        let _cut = cursor.members(|cursor, name| fields.member(cursor, name));
        fields
    }

    fn member(&mut self, cursor: &mut Cursor<'e>, name: Text<'e>) -> Option<()> {
        let text = match name.word() {
            b"event_id" => &mut self.event_id,
            b"type" => &mut self.kind,
            b"level" => &mut self.level,
            b"transaction" => &mut self.transaction,
            b"fingerprint" => return self.fingerprint(cursor),
            b"exception" | b"sentry.interfaces.Exception" => return self.exceptions(cursor),
            b"request" | b"sentry.interfaces.Http" => return self.request(cursor),
            // An object in later protocols, a text in older ones; both names have been both.
            b"message" | b"logentry" | b"sentry.interfaces.Message" => {
                if cursor.peek()? != b'"' {
                    return self.log_entry(cursor);
                }
                &mut self.message
            }
            _ => return cursor.skip(),
        };
        *text = cursor.text()?;
        Some(())
    }

    fn fingerprint(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        let parts = &mut self.fingerprint;
        cursor.elements(|cursor| {
            let part = if cursor.peek()? == b'"' { cursor.text()? } else { Text::plain(cursor.scalar()?) };
            if parts.len() < PARTS {
                parts.push(part);
            }
            Some(())
        })
    }

    fn log_entry(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        cursor.members(|cursor, name| {
            match name.word() {
                b"message" => self.template = cursor.text()?,
                b"formatted" => self.formatted = cursor.text()?,
                _ => cursor.skip()?,
            }
            Some(())
        })
    }

    fn request(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        cursor.members(|cursor, name| match name.word() {
            b"url" => {
                self.url = cursor.text()?;
                Some(())
            }
            b"headers" => self.headers(cursor),
            _ => cursor.skip(),
        })
    }

    /// Headers are an object or pairs in an array.
    fn headers(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        let is_agent = |name: &Text<'_>| name.decoded(32).eq_ignore_ascii_case(b"user-agent");
        if cursor.peek()? == b'[' {
            return cursor.elements(|cursor| {
                let (mut place, mut found) = (0, false);
                cursor.elements(|cursor| {
                    let text = cursor.text()?;
                    match place {
                        0 => found = is_agent(&text),
                        1 if found => self.user_agent = text,
                        _ => {}
                    }
                    place += 1;
                    Some(())
                })
            });
        }
        cursor.members(|cursor, name| {
            if !is_agent(&name) {
                return cursor.skip();
            }
            self.user_agent = cursor.text()?;
            Some(())
        })
    }

    /// Exceptions are `{"values": [...]}`, or in older protocols the array, or a single one.
    fn exceptions(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        if cursor.peek()? == b'[' {
            return self.exception_list(cursor);
        }
        let mut single = Exception::default();
        cursor.members(|cursor, name| {
            if name.word() == b"values" { self.exception_list(cursor) } else { single.member(cursor, name) }
        })?;
        if self.exception.is_none() && single != Exception::default() {
            self.exception = Some(single);
        }
        Some(())
    }

    fn exception_list(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        cursor.elements(|cursor| {
            if cursor.peek()? != b'{' {
                return cursor.skip();
            }
            let mut exception = Exception::default();
            cursor.members(|cursor, name| exception.member(cursor, name))?;
            self.exception = Some(exception);
            Some(())
        })
    }
}

impl<'e> Exception<'e> {
    fn member(&mut self, cursor: &mut Cursor<'e>, name: Text<'e>) -> Option<()> {
        match name.word() {
            b"type" => self.kind = cursor.text()?,
            b"value" => self.value = cursor.text()?,
            b"stacktrace" => {
                return cursor.members(|cursor, name| {
                    if name.word() != b"frames" {
                        return cursor.skip();
                    }
                    cursor.elements(|cursor| self.frame(cursor))
                });
            }
            _ => cursor.skip()?,
        }
        Some(())
    }

    /// Frames come outermost first.
    fn frame(&mut self, cursor: &mut Cursor<'e>) -> Option<()> {
        let (mut frame, mut path) = (Frame::default(), Text::default());
        cursor.members(|cursor, name| {
            match name.word() {
                b"module" => frame.module = cursor.text()?,
                b"filename" => frame.file = cursor.text()?,
                b"abs_path" => path = cursor.text()?,
                b"function" => frame.function = cursor.text()?,
                b"lineno" => frame.line = cursor.scalar()?,
                b"colno" => frame.column = cursor.scalar()?,
                b"in_app" => frame.in_app = cursor.scalar()? == b"true",
                _ => cursor.skip()?,
            }
            Some(())
        })?;
        if frame.file.is_empty() {
            frame.file = path;
        }
        let file = if path.is_empty() { frame.file } else { path };
        // What the engine itself does has names like these.
        if !file.is_empty() && !file.is("<anonymous>") && !file.is("[native code]") {
            self.source = file;
        }
        if frame.in_app || self.frame.is_none_or(|known| !known.in_app) {
            self.frame = Some(frame);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: Text<'_>) -> String {
        String::from_utf8_lossy(&text.decoded(1000)).into_owned()
    }

    #[test]
    fn the_fields_are_found_wherever_and_however_they_are_written() {
        let new = r#"{"breadcrumbs":[{"message":"no","level":"debug"}],"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","level":"warning","transaction":"/a",
            "fingerprint":["{{ default }}",7,"x"],"logentry":{"message":"%s is %s","params":["a","b"],"formatted":"a is b"},
            "request":{"url":"https://shop.example/?a=1","headers":{"User-Agent":"B\u006ft","Referer":"x"}},"extra":{"level":"fatal"}}"#;
        let old = r#"{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","level":"warning","transaction":"/a","fingerprint":["{{ default }}",7,"x"],
            "sentry.interfaces.Message":{"message":"%s is %s","formatted":"a is b"},"sentry.interfaces.Http":{"headers":[["Referer","x"],["user-agent","Bot"],["x"],7],"url":"https://shop.example/?a=1"}}"#;
        for json in [new, old] {
            let fields = Fields::read(json.as_bytes());
            let parts: Vec<_> = fields.fingerprint.iter().map(|part| said(*part)).collect();
            assert_eq!(parts, ["{{ default }}", "7", "x"]);
            let texts = [
                fields.level,
                fields.transaction,
                fields.template,
                fields.formatted,
                fields.message,
                fields.url,
                fields.user_agent,
            ];
            assert_eq!(
                texts.map(said),
                ["warning", "/a", "%s is %s", "a is b", "", "https://shop.example/?a=1", "Bot"]
            );
            assert_eq!(said(fields.event_id).len(), 32);
        }
        assert_eq!(said(Fields::read(br#"{"message":"plain"}"#).message), "plain");
        assert_eq!(said(Fields::read(br#"{"logentry":"plain"}"#).message), "plain");
        assert_eq!(said(Fields::read(br#"{"message":{"message":"entry"}}"#).template), "entry");
    }

    #[test]
    fn the_last_exception_counts_and_its_innermost_frame_of_the_application() {
        let frames = r#"[{"function":"outer","filename":"app.js","lineno":1,"in_app":true},{"function":"inner","filename":"app.js","abs_path":"https://h/app.js","lineno":2,"colno":3,"in_app":true},
            {"function":"lib","filename":"lib.js","in_app":false},{"function":"map","filename":"<anonymous>"}]"#;
        let thrown = format!(r#"{{"type":"TypeError","value":"x is undefined","stacktrace":{{"frames":{frames}}}}}"#);
        let inner = Frame { in_app: true, line: b"2", column: b"3", ..Frame::default() };
        for json in [
            format!(r#"{{"exception":{{"values":[{{"type":"Error","value":"cause"}},{thrown}]}}}}"#),
            format!(r#"{{"exception":[null,{thrown}]}}"#),
            format!(r#"{{"exception":{thrown}}}"#),
            format!(r#"{{"sentry.interfaces.Exception":{thrown}}}"#),
        ] {
            let exception = Fields::read(json.as_bytes()).exception.unwrap();
            assert_eq!(
                [exception.kind, exception.value, exception.source].map(said),
                ["TypeError", "x is undefined", "lib.js"]
            );
            let frame = exception.frame.unwrap();
            assert_eq!([frame.file, frame.function].map(said), ["app.js", "inner"]);
            assert_eq!(Frame { file: Text::default(), function: Text::default(), ..frame }, inner);
        }
        let none = br#"{"exception":{"values":[{"stacktrace":{"frames":[{"function":"a"},{"function":"b","filename":"x"}]}}]}}"#;
        let exception = Fields::read(none).exception.unwrap();
        assert_eq!((said(exception.frame.unwrap().function), said(exception.source)), ("b".to_owned(), "x".to_owned()));
    }

    #[test]
    fn what_is_of_another_type_says_nothing_and_hides_nothing() {
        let json = br#"{"level":["error"],"fingerprint":"x","exception":7,"request":[1],"message":null,"logentry":[],"transaction":{"a":"b"},"event_id":"id"}"#;
        let fields = Fields::read(json);
        assert!(fields.exception.is_none() && fields.fingerprint.is_empty());
        let texts = [fields.level, fields.template, fields.message, fields.transaction, fields.url];
        assert_eq!(texts.map(said), [""; 5]);
        assert_eq!(said(fields.event_id), "id");
        for json in ["", "[]", "7", "{", "nonsense", "\"text\""] {
            assert!(Fields::read(json.as_bytes()).exception.is_none(), "{json}");
        }
    }

    #[test]
    fn behind_the_limit_nothing_is_known_and_half_an_exception_is_none() {
        let padding = "x".repeat(LIMIT);
        let json = format!(r#"{{"level":"info","extra":"{padding}","message":"late"}}"#);
        let fields = Fields::read(json.as_bytes());
        assert_eq!([fields.level, fields.message].map(said), ["info", ""]);
        let json = format!(r#"{{"exception":{{"values":[{{"type":"A"}},{{"type":"B","value":"{padding}"}}]}}}}"#);
        assert_eq!(Fields::read(json.as_bytes()).exception.map(|exception| said(exception.kind)).as_deref(), Some("A"));
    }

    #[test]
    fn deep_nesting_is_stepped_over_on_a_small_stack() {
        let deep = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
        let all: Vec<String> = ["exception", "fingerprint", "request", "logentry", "extra"]
            .iter()
            .flat_map(|name| {
                [deep("[", "]"), deep("{\"values\":", "}"), deep("{\"exception\":[", "]}")]
                    .map(|value| format!(r#"{{"level":"info","{name}":{value}}}"#))
            })
            .collect();
        let work = move || all.iter().all(|json| said(Fields::read(json.as_bytes()).level) == "info");
        let thread = std::thread::Builder::new().stack_size(48 << 10).spawn(work).unwrap();
        assert!(thread.join().unwrap());
    }
}
