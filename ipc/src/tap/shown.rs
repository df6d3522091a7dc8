//! What was seen, as lines: for people (with colour, on one line, harmless to a terminal), for programs, or as hex.
use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{
    lane::Seen,
    queue::Direction,
    summary::{of_unknown, summary},
};
use crate::{
    cli::text,
    proto::{Frame, frame::Body},
};

/// Characters of what a frame says.
const HEAD: usize = 100;
const HEX_ROW: usize = 16;

/// Where and when something was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: SystemTime,
    pub(super) connection: u64,
    pub(super) direction: Direction,
}

impl Place {
    fn arrow(self) -> char {
        match self.direction {
            Direction::Up => '→',
            Direction::Down => '←',
        }
    }
}

/// A line for people.
pub(super) fn line(place: Place, seen: &Seen, color: bool, out: &mut String) {
    let (style, fields) = match seen {
        Seen::Frame {
            frame,
            size,
            unknown,
            latency,
        } => {
            let mut said = frame
                .body
                .as_ref()
                .map_or_else(|| of_unknown(frame), summary);
            if !unknown.is_empty() {
                said = format!("(unknown: {}) {said}", unknown.join(", "));
            }
            let latency = latency.map_or_else(String::new, short);
            let name = frame.method();
            let said = text::head(&said, HEAD);
            (
                style(place, frame),
                format!(
                    "{:>5} {name:<13} {:>9} {latency:>8}  {said}",
                    frame.id,
                    bytes(*size)
                ),
            )
        }
        Seen::Bad { why, size, head } => {
            let head = text::escape_bytes(head.get(..HEAD / 2).unwrap_or(head));
            let why = text::head(why, HEAD);
            (
                AnsiColor::Red.on_default(),
                format!(
                    "{:>5} {:<13} {:>9} {:>8}  {why}: {head}",
                    "-",
                    "?",
                    bytes(*size),
                    ""
                ),
            )
        }
        Seen::Note(note) => (AnsiColor::Yellow.on_default(), format!("{:>5} {note}", "-")),
    };
    let (time, number, arrow) = (clock(place.at), place.connection, place.arrow());
    let fields = fields.trim_end();
    let (dim, style) = if color {
        (Style::new().dimmed(), style)
    } else {
        (Style::new(), Style::new())
    };
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "{dim}{time}{dim:#} {number:>3} {style}{arrow} {fields}{style:#}"
    );
}

fn style(place: Place, frame: &Frame) -> Style {
    match (&frame.body, place.direction) {
        (None | Some(Body::Error(_)), _) => AnsiColor::Red.on_default(),
        (Some(Body::Cancel(_) | Body::GoAway(_)), _) => AnsiColor::Yellow.on_default(),
        (Some(Body::Delta(_)), _) => Style::new().dimmed(),
        (_, Direction::Up) => AnsiColor::Cyan.on_default(),
        (_, Direction::Down) => AnsiColor::Green.on_default(),
    }
}

/// One JSON object for programs.
pub(super) fn object(place: Place, seen: &Seen, out: &mut String) {
    #[derive(Serialize)]
    struct Object<'a> {
        time: String,
        connection: u64,
        direction: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
        #[serde(skip_serializing_if = "Option::is_none")]
        latency_us: Option<u64>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        unknown: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        frame: Option<&'a Frame>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bad: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        head: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<&'a str>,
    }
    let mut object = Object {
        time: clock(place.at),
        connection: place.connection,
        direction: match place.direction {
            Direction::Up => "to_server",
            Direction::Down => "to_client",
        },
        bytes: None,
        latency_us: None,
        unknown: &[],
        frame: None,
        bad: None,
        head: None,
        note: None,
    };
    match seen {
        Seen::Frame {
            frame,
            size,
            unknown,
            latency,
        } => {
            object.bytes = Some(*size);
            object.frame = Some(frame);
            object.unknown = unknown;
            object.latency_us =
                latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
        }
        Seen::Bad { why, size, head } => {
            object.bytes = Some(*size);
            object.bad = Some(why);
            object.head = Some(String::from_utf8_lossy(head).into_owned());
        }
        Seen::Note(note) => object.note = Some(note),
    }
    let json = serde_json::to_string(&object).unwrap_or_else(|error| {
        // An enum value from the future, say: it has no JSON form.
        serde_json::json!({"connection": place.connection, "note": error.to_string()}).to_string()
    });
    let _ = writeln!(out, "{}", text::escape_json(&json));
}

/// Bytes as they went.
pub(super) fn hex(place: Place, bytes: &[u8], out: &mut String) {
    let _ = writeln!(
        out,
        "{} {:>3} {} {}",
        clock(place.at),
        place.connection,
        place.arrow(),
        self::bytes(bytes.len())
    );
    for row in bytes.chunks(HEX_ROW) {
        out.push(' ');
        for byte in row {
            let _ = write!(out, " {byte:02x}");
        }
        let pad = (HEX_ROW - row.len()) * 3 + 2;
        let _ = write!(out, "{:pad$}", "");
        out.extend(row.iter().map(|byte| {
            if matches!(byte, b' '..=b'~') {
                char::from(*byte)
            } else {
                '.'
            }
        }));
        out.push('\n');
    }
}

/// The time of day, UTC: the same on every machine whose output is compared.
fn clock(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let s = since.as_secs();
    format!(
        "{:02}:{:02}:{:02}.{:03}Z",
        s / 3600 % 24,
        s / 60 % 60,
        s % 60,
        since.subsec_millis()
    )
}

fn bytes(count: usize) -> String {
    match count {
        0..100_000 => format!("{count} B"),
        100_000..10_000_000 => format!("{:.0} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

fn short(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        10.0..1000.0 => format!("{ms:.1} ms"),
        _ => format!("{:.2} s", ms / 1e3),
    }
}
