// SPDX-License-Identifier: BSD-2-Clause
//! What one line says of an item of an envelope: a dry run's log begins with it.

use serde::Deserialize;

/// What of an event the line tells.
#[derive(Deserialize)]
struct Gist {
    level: String,
    logentry: Option<Message>,
    exception: Option<Exceptions>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
    /// The message with its placeholders filled, if it has some.
    formatted: Option<String>,
}

#[derive(Deserialize)]
struct Exceptions {
    values: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
}

/// Level and text of an event; `None` for what is none.
pub fn summary(kind: &str, payload: &[u8]) -> Option<String> {
    let gist: Gist = serde_json::from_slice(payload).ok().filter(|_| kind == "event")?;
    let exception = gist.exception.and_then(|exceptions| exceptions.values.into_iter().next());
    let text = match (gist.logentry, exception) {
        (Some(message), _) => message.formatted.unwrap_or(message.message),
        (None, Some(Exception { kind, value })) => kind.into_iter().chain(value).collect::<Vec<_>>().join(": "),
        (None, None) => String::new(),
    };
    Some(format!("{}: {text}", gist.level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_what_happened() {
        for (rest, text) in [
            (r#""logentry":{"message":"plain"}"#, "plain"),
            (r#""logentry":{"message":"{1} of 2","params":["1"],"formatted":"1 of 2"}"#, "1 of 2"),
            (r#""exception":{"values":[{"type":"FetchError","value":"no route"}]}"#, "FetchError: no route"),
            (r#""exception":{"values":[{"type":"FetchError"}]}"#, "FetchError"),
            (r#""extra":{}"#, ""),
        ] {
            let json = format!(r#"{{"event_id":"0123456789abcdef","level":"error",{rest}}}"#);
            assert_eq!(summary("event", json.as_bytes()), Some(format!("error: {text}")));
            assert_eq!(summary("client_report", json.as_bytes()), None);
        }
        assert_eq!(summary("event", b"{}"), None);
    }
}
