//! What `--model` and its companions say: which models a server offers, who computes them, and how long they stay.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

use super::at_least_one;

/// The models of a server.
#[derive(Args, Clone, Debug)]
pub struct Models {
    /// A directory or a .gguf file of a Gemma 3 text model, its name on Hugging Face (org/name, org/name@revision,
    /// org/name:file.gguf), or built-in [default: built-in]. With NAME= before it requests call it so; may be given several
    /// times: the first is the default and stays, the others are loaded on demand. openai:URL is another server, on http:, https: or
    /// unix:, with #MODEL behind the URL for one of its models; without it requests name NAME/MODEL
    #[arg(long = "model", value_name = "[NAME=]MODEL", env = "CALLSPAN_MODEL")]
    pub named: Vec<Named>,
    /// Who computes a --model that does not say so itself by native: or openai: before it
    #[arg(
        long,
        value_name = "BACKEND",
        default_value = "native",
        env = "CALLSPAN_BACKEND"
    )]
    pub backend: Kind,
    /// The PEFT directory of a LoRA adapter, merged into the first model's weights
    #[arg(long, value_name = "DIR", env = "CALLSPAN_LORA")]
    pub lora: Option<PathBuf>,
    /// The PEFT directory of a LoRA adapter of the first model that requests may name; may be given several times
    #[arg(long = "adapter", value_name = "NAME=DIR", value_parser = adapter)]
    pub adapters: Vec<(String, PathBuf)>,
    /// How long a model that was loaded on demand stays when nobody asks for it: 30s, 10m, 1h, or forever
    #[arg(long, value_name = "TIME", default_value = "30m", env = "CALLSPAN_KEEP_ALIVE", value_parser = keep_alive)]
    pub keep_alive: KeepAlive,
    /// MiB of weights in memory, of all models together; those not used for longest make room for others
    #[arg(long = "models-mib", value_name = "N", default_value_t = 8192, env = "CALLSPAN_MODELS_MIB", value_parser = at_least_one)]
    pub memory_mib: usize,
    /// How long another server may keep silent, before it begins to answer or in the middle
    #[arg(long, value_name = "TIME", default_value = "5m", env = "CALLSPAN_PEER_TIMEOUT", value_parser = patience)]
    pub peer_timeout: Duration,
}

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// This program's own engine
    Native,
    /// Another server, by its URL: Ollama, LM Studio, llama-server, vLLM and what else speaks OpenAI's HTTP. Its key is read from
    /// `CALLSPAN_PEER_API_KEY`
    Openai,
    /// mistral.rs, for graphics processors and other models (only if built with the feature mistralrs)
    Mistralrs,
}

impl Kind {
    /// As the protocol writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Openai => "openai",
            Self::Mistralrs => "mistralrs",
        }
    }
}

/// One `--model`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What requests call it, if that was said.
    pub name: Option<String>,
    /// Who computes, if that was said.
    pub backend: Option<Kind>,
    /// The rest.
    pub source: String,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A path may have an = in it: then it has a / before it.
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) if !name.contains(['/', ':']) => {
                if name.is_empty() {
                    return Err("give NAME=MODEL, or MODEL alone".to_owned());
                }
                (Some(name.to_owned()), rest)
            }
            _ => (None, text),
        };
        let (backend, source) = match rest.split_once(':') {
            Some(("native", source)) => (Some(Kind::Native), source),
            Some(("openai", source)) => (Some(Kind::Openai), source),
            Some(("mistralrs", source)) => (Some(Kind::Mistralrs), source),
            _ => (None, rest),
        };
        if source.is_empty() {
            return Err("give NAME=MODEL, or MODEL alone".to_owned());
        }
        Ok(Self {
            name,
            backend,
            source: source.to_owned(),
        })
    }
}

/// How long an unused model stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive(pub Option<Duration>);

fn keep_alive(text: &str) -> Result<KeepAlive, String> {
    if text == "forever" {
        return Ok(KeepAlive(None));
    }
    let time = humantime::parse_duration(text);
    time.map(|time| KeepAlive(Some(time)))
        .map_err(|error| format!("{error}: give a time such as 30s, 10m or 1h, or forever"))
}

fn patience(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("give more than no time, such as 30s or 5m".to_owned()),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("{error}: give a time such as 30s or 5m")),
    }
}

fn adapter(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, dir)) if !name.is_empty() && !dir.is_empty() => Ok((name.into(), dir.into())),
        _ => Err("give NAME=DIR".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_have_a_name_and_say_who_computes() {
        for (text, name, backend, source) in [
            ("./dir", None, None, "./dir"),
            ("./a=b", None, None, "./a=b"),
            ("org/name:f.gguf", None, None, "org/name:f.gguf"),
            ("tiny=org/name@main", Some("tiny"), None, "org/name@main"),
            ("tiny=dir=x", Some("tiny"), None, "dir=x"),
            ("a=native:b", Some("a"), Some(Kind::Native), "b"),
            (
                "openai:http://h:1/v1#q:0.6b",
                None,
                Some(Kind::Openai),
                "http://h:1/v1#q:0.6b",
            ),
            ("a=openai:unix:/s", Some("a"), Some(Kind::Openai), "unix:/s"),
            ("http://h:1/v1#a=b", None, None, "http://h:1/v1#a=b"),
            ("mistralrs:./b:c", None, Some(Kind::Mistralrs), "./b:c"),
        ] {
            let expected = Named {
                name: name.map(Into::into),
                backend,
                source: source.into(),
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "=x", "a=", "a=native:", "native:"] {
            assert!(text.parse::<Named>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_to_stay_has_a_unit() {
        let time = |text: &str| keep_alive(text).unwrap().0;
        assert_eq!(time("30m"), Some(Duration::from_mins(30)));
        assert_eq!(time("0s"), Some(Duration::ZERO));
        assert_eq!(time("forever"), None);
        for text in ["", "-1s", "soon"] {
            assert!(keep_alive(text).unwrap_err().contains("30s, 10m"), "{text}");
        }
    }
}
