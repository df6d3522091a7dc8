//! Other people's servers on the command line: where each is, and which key is for it. Keys come from the environment, where
//! nobody sees them who lists processes, and each goes to the one server that it is for.

use std::{collections::HashMap, env, sync::Arc, time::Duration};

use ipc::program::Failure;
use rust_inference::{
    backend::{
        Backend, Guarantee, OpenAi,
        openai::{Address, Key, Settings},
    },
    service::Offer,
};

use crate::{
    cli::{Kind, Named},
    offers::{Means, tell},
};

/// The key of the only server that there is.
const KEY: &str = "CALLSPAN_PEER_API_KEY";

/// The keys of the servers that are named.
#[derive(Default)]
pub(crate) struct Keys(HashMap<String, Key>);

/// Reads the keys of all servers among `named`.
pub(crate) fn keys(named: &[Named], default: Kind) -> Result<Keys, Failure> {
    let mut keys = Keys::default();
    let (mut origins, mut taken) = (Vec::new(), HashMap::new());
    for one in named
        .iter()
        .filter(|one| one.backend.unwrap_or(default) == Kind::Openai)
    {
        let address = address(&one.source)?;
        let name = one.name.clone().unwrap_or_else(|| address.stem());
        let (variable_name, origin) = (own(&name), address.origin());
        let Some(key) = variable(&variable_name)? else {
            origins.push((name, origin));
            continue;
        };
        if let Some(other) = taken.insert(variable_name, origin.clone())
            && other != origin
        {
            return Err(Failure::usage(
                format!("{} could be for {other} and for {origin}", own(&name)),
                "give them names that differ in more than punctuation: --model NAME=openai:URL",
            ));
        }
        keys.0.insert(name, key);
    }
    let Some(key) = variable(KEY)? else {
        return Ok(keys);
    };
    if let Some((first, origin)) = origins.first()
        && let Some((other, _)) = origins.iter().find(|(_, another)| another != origin)
    {
        return Err(Failure::usage(
            format!("{KEY} is set, and there are several servers that it could be for"),
            format!(
                "say whose it is: set {} or {} instead",
                own(first),
                own(other)
            ),
        ));
    }
    keys.0
        .extend(origins.into_iter().map(|(name, _)| (name, key.clone())));
    Ok(keys)
}

/// Another server, and what asks it. It need not be there yet.
pub(crate) fn peer(
    named: Named,
    keys: &mut Keys,
    patience: Duration,
    means: &Means,
) -> Result<Offer, Failure> {
    let address = address(&named.source)?;
    let name = named.name.unwrap_or_else(|| address.stem());
    let key = keys.0.remove(&name);
    if key.is_some() && address.is_open() {
        tell(&format!(
            "the key for {address} goes there unencrypted: https would hide it from the network"
        ));
    }
    let settings = Settings {
        name: name.clone(),
        address,
        key,
        patience,
        max_tokens: means.max_tokens,
        places: means.capacity.parallel + means.capacity.queue,
    };
    let open = Box::new(move || {
        let peer = OpenAi::new(settings.clone()).map_err(|problem| {
            Failure::new(format!("cannot reach {}: {problem}", settings.address), "")
        })?;
        if let Err(status) = peer.look() {
            tell(&format!(
                "{} cannot be used yet: {}",
                settings.name, status.message
            ));
        }
        Ok(Arc::new(peer) as Arc<dyn Backend>)
    });
    Ok(Offer {
        name,
        backend: Kind::Openai.word(),
        source: named.source,
        remote: true,
        guarantee: Guarantee::Checked,
        memory_bytes: 0,
        open,
    })
}

fn address(source: &str) -> Result<Address, Failure> {
    source.parse().map_err(|error| {
        Failure::usage(
            format!("the server's address cannot be used: {error}"),
            "for instance --model openai:http://localhost:11434/v1#qwen3:0.6b",
        )
    })
}

/// The variable with the key of one server among several.
fn own(name: &str) -> String {
    let upper = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    format!("{KEY}_{}", name.chars().map(upper).collect::<String>())
}

fn variable(name: &str) -> Result<Option<Key>, Failure> {
    match env::var(name) {
        Ok(key) if key.trim().is_empty() => Ok(None),
        Ok(key) => Ok(Some(Key(key.trim().to_owned()))),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage(
            format!("{name} holds something that is no text"),
            "set it to the server's key, or to nothing",
        )),
    }
}
