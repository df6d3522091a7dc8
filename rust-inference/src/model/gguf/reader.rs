//! Reads the parts of a GGUF header one after the other, never beyond the end of the file: whatever a header claims,
//! nothing is taken, and nothing allocated, that the file is too short for.

/// A place in the file, from which the next value is read.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A value of the header's metadata. Texts stay where they are in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Any integer that is not negative.
    Natural(u64),
    Negative(i64),
    Real(f64),
    Bool(bool),
    Text(&'a str),
    Texts(Vec<&'a str>),
    Reals(Vec<f32>),
    Integers(Vec<i32>),
    Bools(Vec<bool>),
    /// A list of a type that no key of interest has: not kept.
    Skipped,
}

/// What is wrong with a file, for a person.
pub(super) type Wrong = String;

/// Metadata's types, by their number.
const TEXT: u32 = 8;
const LIST: u32 = 9;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Wrong> {
        let taken = (self.at.checked_add(len))
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or_else(|| {
                format!(
                    "the file ends after {} bytes, within its header; is it whole?",
                    self.bytes.len()
                )
            })?;
        self.at += len;
        Ok(taken)
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let taken = self.take(N)?;
        taken
            .try_into()
            .map_err(|_| "the file ends within its header".into())
    }

    pub(super) fn u32(&mut self) -> Result<u32, Wrong> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Wrong> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    /// A number of things of at least `size` bytes each, all of which are still to come.
    pub(super) fn count(&mut self, size: usize, what: &str) -> Result<usize, Wrong> {
        let count = self.u64()?;
        let room = self.left() / size;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= room)
            .ok_or_else(|| {
                format!(
                    "its header claims {count} {what}, more than fit into the {} bytes that are left; is the file whole?",
                    self.left()
                )
            })
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Wrong> {
        let len = self.count(1, "bytes of a text")?;
        let start = self.at;
        std::str::from_utf8(self.take(len)?)
            .map_err(|_| format!("the text at byte {start} is not UTF-8"))
    }

    /// The value of a metadata key.
    pub(super) fn value(&mut self) -> Result<Value<'a>, Wrong> {
        match self.u32()? {
            LIST => self.list(),
            kind => self.single(kind),
        }
    }

    fn single(&mut self, kind: u32) -> Result<Value<'a>, Wrong> {
        let whole =
            |value: i64| u64::try_from(value).map_or(Value::Negative(value), Value::Natural);
        Ok(match kind {
            0 => Value::Natural(u64::from(u8::from_le_bytes(self.bytes()?))),
            1 => whole(i64::from(i8::from_le_bytes(self.bytes()?))),
            2 => Value::Natural(u64::from(u16::from_le_bytes(self.bytes()?))),
            3 => whole(i64::from(i16::from_le_bytes(self.bytes()?))),
            4 => Value::Natural(u64::from(self.u32()?)),
            5 => whole(i64::from(i32::from_le_bytes(self.bytes()?))),
            6 => Value::Real(f64::from(f32::from_le_bytes(self.bytes()?))),
            7 => match u8::from_le_bytes(self.bytes()?) {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(format!("a truth value is {other}; expected 0 or 1")),
            },
            TEXT => Value::Text(self.text()?),
            10 => Value::Natural(self.u64()?),
            11 => whole(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Real(f64::from_le_bytes(self.bytes()?)),
            LIST => return Err("a list within a list, which this reader does not know".into()),
            other => return Err(format!("metadata of the unknown type {other}")),
        })
    }

    /// Long lists (a vocabulary's) are kept as narrow as they are.
    fn list(&mut self) -> Result<Value<'a>, Wrong> {
        let kind = self.u32()?;
        let size = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            other => return Err(format!("a list of the unknown or nested type {other}")),
        };
        let count = self.count(size, "entries of a list")?;
        if kind == TEXT {
            let texts = (0..count).map(|_| self.text());
            return Ok(Value::Texts(texts.collect::<Result<_, _>>()?));
        }
        // The count was held against what is left of the file.
        let bytes = self.take(count * size)?;
        let (quads, _) = bytes.as_chunks::<4>();
        Ok(match kind {
            5 => Value::Integers(quads.iter().map(|b| i32::from_le_bytes(*b)).collect()),
            6 => Value::Reals(quads.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            7 => Value::Bools(bytes.iter().map(|b| *b != 0).collect()),
            _ => Value::Skipped,
        })
    }
}
