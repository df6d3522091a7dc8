//! From the command line to the models that a server offers: the first loaded, the others found and ready to be.

use std::{
    collections::HashSet,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ipc::program::Failure;
use prometheus_client::metrics::histogram::Histogram;
use rust_inference::{
    backend::{Backend, Guarantee, Native},
    kernels::Weights,
    model::{LoadOptions, Model, ModelFiles, PackedCache},
    scheduler::Capacity,
    service::Offer,
};

use crate::{
    cli::{Kind, Models, Named},
    load, mistral, peers,
};

/// Says something to whoever started the program, who may not be listening any more.
pub(crate) fn tell(what: &str) {
    drop(writeln!(std::io::stderr(), "rust-inference: {what}"));
}

/// What models are computed with here.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub(crate) options: LoadOptions,
    pub(crate) capacity: Capacity,
    pub(crate) max_tokens: usize,
    /// Told how many requests share each pass.
    pub(crate) sharing: Histogram,
}

/// The first model, loaded, and the others.
pub(crate) type Offers = ((Offer, Arc<dyn Backend>), Vec<Offer>);

pub(crate) fn offers(asked: &Models, means: &Means) -> Result<Offers, Failure> {
    let built_in = Named {
        name: None,
        backend: Some(Kind::Native),
        source: load::BUILT_IN.to_owned(),
    };
    let mut named = asked.named.clone();
    if named.is_empty() {
        if asked.backend != Kind::Native {
            return Err(Failure::usage(
                format!("--backend {} needs a model", asked.backend.word()),
                "give --model URL",
            ));
        }
        named.push(built_in);
    }
    let mut keys = peers::keys(&named, asked.backend)?;
    let mut names = HashSet::new();
    let mut offers = Vec::with_capacity(named.len());
    for (index, one) in named.into_iter().enumerate() {
        let first = index == 0;
        let offer = match one.backend.unwrap_or(asked.backend) {
            Kind::Native => local(one, if first { Some(asked) } else { None }, means)?,
            _ if first && (asked.lora.is_some() || !asked.adapters.is_empty()) => {
                return Err(Failure::usage(
                    "--lora and --adapter are for the first model, and that is not computed by this program's own engine",
                    "leave them out, or name a model of the native backend first",
                ));
            }
            Kind::Openai => peers::peer(one, &mut keys, asked.peer_timeout, means)?,
            Kind::Mistralrs => mistral::offer(&one, means)?,
        };
        if !names.insert(offer.name.clone()) {
            return Err(Failure::usage(
                format!("two models are called {}", offer.name),
                "give one of them another name: --model NAME=MODEL",
            ));
        }
        offers.push(offer);
    }
    let first = offers.remove(0);
    let backend = (first.open)()?;
    Ok(((first, backend), offers))
}

/// A model of this program's own engine. `first`: with what is said of the first model only.
fn local(named: Named, first: Option<&Models>, means: &Means) -> Result<Offer, Failure> {
    let source = PathBuf::from(&named.source);
    // Opened now, so that what is misspelt is found now.
    let files = load::files(&source)?;
    let name = named.name.unwrap_or_else(|| files.name.clone());
    let memory_bytes = bytes(&files, means.options.weights);
    let loading = Loading {
        name: name.clone(),
        source,
        lora: first.and_then(|models| models.lora.clone()),
        adapters: first
            .map(|models| models.adapters.clone())
            .unwrap_or_default(),
        means: means.clone(),
    };
    let open = Box::new(move || loading.load());
    Ok(Offer {
        name,
        backend: Kind::Native.word(),
        source: named.source,
        remote: false,
        guarantee: Guarantee::Constrained,
        memory_bytes,
        open,
    })
}

/// The most that weights take: what is stored in half precision is kept in that or less, unless all of it is asked for.
fn bytes(files: &ModelFiles, weights: Weights) -> usize {
    let stored: usize = files.weights.iter().map(|(_, bytes)| bytes.len()).sum();
    match weights {
        Weights::F32 => 2 * stored,
        _ => stored,
    }
}

/// What it takes to load a model, now or again.
struct Loading {
    name: String,
    source: PathBuf,
    lora: Option<PathBuf>,
    adapters: Vec<(String, PathBuf)>,
    means: Means,
}

impl Loading {
    fn load(&self) -> Result<Arc<dyn Backend>, Failure> {
        let means = &self.means;
        let named = (self.source != Path::new(load::BUILT_IN)).then_some(&*self.source);
        let mut model = load::model(named, self.lora.as_deref(), &means.options)?;
        model.name.clone_from(&self.name);
        load::add_adapters(&mut model, &self.adapters)?;
        told(&model);
        let native = Native::start(
            Arc::new(model),
            means.capacity,
            means.max_tokens,
            means.sharing.clone(),
        );
        native
            .map(|native| Arc::new(native) as Arc<dyn Backend>)
            .map_err(|error| Failure::new(format!("cannot start the model's thread: {error}"), ""))
    }
}

/// What a person should know of how it was loaded.
fn told(model: &Model) {
    for note in &model.notes {
        tell(note);
    }
    if let PackedCache::Written(path) = &model.packed {
        tell(&format!(
            "packed weights are kept in {} for the next start",
            path.display()
        ));
    }
}
