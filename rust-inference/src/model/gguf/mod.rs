//! GGUF, the file format of llama.cpp: one file that holds configuration, tokenizer and weights.
//!
//! It is opened as the files of a Hugging Face directory would be: its metadata becomes a config.json, its vocabulary a
//! tokenizer.json, and its tensors are asked for by the names that they have there. So the rest of the engine knows one
//! kind of checkpoint. The file is not trusted: see [`reader`].

mod config;
mod names;
mod reader;
mod tokenizer;

use std::collections::HashMap;

use self::reader::{Reader, Value, Wrong};
use super::tensor::{Kind, Tensor};

/// Every GGUF begins with this.
pub(super) const MAGIC: &[u8] = b"GGUF";

/// Where tensors begin, unless the file says otherwise: at multiples of this.
const ALIGNMENT: usize = 32;

/// A parsed header, and the tensors' bytes behind it.
pub(super) struct Gguf<'a> {
    metadata: HashMap<&'a str, Value<'a>>,
    tensors: HashMap<&'a str, Info>,
    data: &'a [u8],
}

struct Info {
    /// Rows first, as everywhere else; the file has them last.
    shape: Vec<usize>,
    /// The number of its type.
    kind: u32,
    offset: usize,
}

impl<'a> Gguf<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut reader = Reader::new(bytes);
        if reader.bytes::<4>()? != *MAGIC {
            return Err("it does not begin with GGUF".into());
        }
        match reader.u32()? {
            2 | 3 => {}
            1 => return Err("GGUF version 1 is too old; convert the model again".into()),
            version if version.swap_bytes() <= 3 => {
                return Err(
                    "it is a GGUF for big-endian machines; convert the model without --bigendian"
                        .into(),
                );
            }
            version => {
                return Err(format!(
                    "GGUF version {version} is not known; expected 2 or 3"
                ));
            }
        }
        // A tensor takes a name, a number of dimensions, one of them, a type and an offset; metadata a key and a value.
        let tensors = reader.count(8 + 4 + 8 + 4 + 8, "tensors")?;
        let values = reader.count(8 + 4 + 1, "metadata keys")?;
        let mut metadata = HashMap::new();
        for _ in 0..values {
            let key = reader.text()?;
            let value = (reader.value()).map_err(|wrong| format!("metadata {key}: {wrong}"))?;
            if metadata.insert(key, value).is_some() {
                return Err(format!("metadata {key} is there twice"));
            }
        }
        let infos = (0..tensors)
            .map(|_| Info::read(&mut reader))
            .collect::<Result<Vec<_>, _>>()?;
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Natural(n)) if n.is_power_of_two() && (8..=1 << 20).contains(n) => {
                *n as usize
            }
            Some(_) => {
                return Err("general.alignment is not a power of two from 8 to 1048576".into());
            }
        };
        let start = reader.at().next_multiple_of(alignment);
        // A file without tensors may end before the padding.
        let data = bytes.get(start..).unwrap_or_default();
        let mut file = Self {
            metadata,
            tensors: HashMap::new(),
            data,
        };
        for (name, info) in infos {
            if !info.offset.is_multiple_of(alignment) {
                return Err(format!(
                    "tensor {name} begins at {}, which is not a multiple of {alignment}",
                    info.offset
                ));
            }
            file.check(name, &info)?;
            if file.tensors.insert(name, info).is_some() {
                return Err(format!("tensor {name} is there twice"));
            }
        }
        Ok(file)
    }

    /// That the file is long enough for a tensor is known when it was opened, not when the tensor is needed.
    fn check(&self, name: &str, info: &Info) -> Result<(), Wrong> {
        match kind(info.kind) {
            Ok(kind) => self.bytes(name, info, kind).map(|_| ()),
            // Tensors that are not needed may be of any type.
            Err(_) => Ok(()),
        }
    }

    fn bytes(&self, name: &str, info: &Info, kind: Kind) -> Result<&'a [u8], Wrong> {
        let size = kind.size(&info.shape).ok_or_else(|| {
            format!(
                "tensor {name} has shape {:?}, which cannot be of type {kind:?}",
                info.shape
            )
        })?;
        (info.offset.checked_add(size))
            .and_then(|end| self.data.get(info.offset..end))
            .ok_or_else(|| {
                format!("tensor {name} goes beyond the end of the file; is the file whole?")
            })
    }

    /// The tensor that a Hugging Face checkpoint calls `name`.
    pub(super) fn tensor(&self, name: &str) -> Result<Option<Tensor<'a>>, Wrong> {
        let Some(own) = names::of(name) else {
            return Ok(None);
        };
        let Some(info) = self.tensors.get(own.as_str()) else {
            return Ok(None);
        };
        let kind = kind(info.kind).map_err(|found| {
            format!(
                "tensor {own} is of type {found}; this engine reads F32, F16, BF16, Q8_0 and Q4_0: take a file of one of \
                 these, or make one from the Hugging Face checkpoint (convert_hf_to_gguf.py --outtype q8_0)"
            )
        })?;
        Ok(Some(Tensor {
            shape: info.shape.clone(),
            kind,
            bytes: self.bytes(&own, info, kind)?,
            // llama.cpp multiplies by what is in the file, Gemma's norms by 1 + w.
            minus: if name.ends_with("norm.weight") {
                1.0
            } else {
                0.0
            },
        }))
    }

    fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.metadata.get(key)
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("metadata {key} is not a text")),
        }
    }

    fn natural(&self, key: &str) -> Result<Option<u64>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Natural(n)) => Ok(Some(*n)),
            Some(_) => Err(format!("metadata {key} is not a number from 0 up")),
        }
    }

    fn real(&self, key: &str) -> Result<Option<f64>, Wrong> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Real(x)) if x.is_finite() => Ok(Some(*x)),
            Some(_) => Err(format!("metadata {key} is not a finite number")),
        }
    }
}

impl Info {
    fn read<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, Self), Wrong> {
        let name = reader.text()?;
        let dimensions = reader.u32()?;
        if !(1..=4).contains(&dimensions) {
            return Err(format!(
                "tensor {name} has {dimensions} dimensions; expected 1 to 4"
            ));
        }
        let mut shape = (0..dimensions)
            .map(|_| {
                usize::try_from(reader.u64()?).map_err(|_| format!("tensor {name} is too large"))
            })
            .collect::<Result<Vec<_>, Wrong>>()?;
        shape.reverse();
        let kind = reader.u32()?;
        let offset = usize::try_from(reader.u64()?).map_err(|_| {
            format!("tensor {name} goes beyond the end of the file; is the file whole?")
        })?;
        Ok((
            name,
            Self {
                shape,
                kind,
                offset,
            },
        ))
    }
}

/// A tensor's type by its number; the name of one that is not read.
fn kind(number: u32) -> Result<Kind, String> {
    let unread = match number {
        0 => return Ok(Kind::F32),
        1 => return Ok(Kind::F16),
        2 => return Ok(Kind::Q4_0),
        8 => return Ok(Kind::Q8_0),
        30 => return Ok(Kind::Bf16),
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        20 => "IQ4_NL",
        23 => "IQ4_XS",
        other => return Err(format!("number {other}")),
    };
    Err(unread.into())
}

#[cfg(test)]
mod tests;
