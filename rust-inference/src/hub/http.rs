//! Questions to the Hub over HTTPS, with Rust's own TLS: nothing here needs a C compiler.

use std::{env, sync::Arc, time::Duration};

use ureq::{
    Agent, Body,
    http::{Response, header},
    tls::{Certificate, RootCerts, TlsConfig},
};

use super::{HubError, cache, id::Id};
use crate::tls;

/// Where models are, unless `HF_ENDPOINT` names another place.
const ENDPOINT: &str = "https://huggingface.co";

/// How long a server may keep silent.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Hub<'a> {
    id: &'a Id,
    pub(super) endpoint: String,
    agent: Agent,
    token: Option<String>,
}

/// What the Hub says of a file before it sends it.
pub(super) struct Meta {
    /// The name of its contents, which is their sum.
    pub(super) sum: String,
    pub(super) len: u64,
}

impl<'a> Hub<'a> {
    pub(super) fn new(id: &'a Id) -> Result<Self, HubError> {
        let endpoint = env::var("HF_ENDPOINT").ok().filter(|set| !set.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| ENDPOINT.into());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("callspan/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_per_read(Some(PATIENCE));
        if endpoint.starts_with("https:") {
            config = config.tls_config(tls().map_err(|what| HubError::Unusable {
                id: id.clone(),
                what,
            })?);
        }
        Ok(Self {
            id,
            endpoint,
            agent: config.build().new_agent(),
            token: cache::token(),
        })
    }

    pub(super) fn unreachable(
        &self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> HubError {
        HubError::Unreachable {
            id: self.id.clone(),
            host: self.endpoint.clone(),
            source: source.into(),
        }
    }

    /// The answer, if it is a good one.
    fn good(&self, response: Response<Body>) -> Result<Response<Body>, HubError> {
        let (id, host) = (self.id.clone(), self.endpoint.clone());
        match response.status().as_u16() {
            200..=399 => Ok(response),
            status @ (401 | 403) => Err(HubError::Refused { id, host, status }),
            404 => Err(HubError::Unknown { id, host }),
            status => Err(self.unreachable(format!("it answered {status}"))),
        }
    }

    /// The commit that the revision is at, and the names of its files.
    pub(super) fn list(&self) -> Result<(String, Vec<String>), HubError> {
        #[derive(serde::Deserialize)]
        struct Model {
            sha: String,
            #[serde(default)]
            siblings: Vec<Sibling>,
        }
        #[derive(serde::Deserialize)]
        struct Sibling {
            rfilename: String,
        }
        let revision = self.id.revision.replace('/', "%2F");
        let url = format!(
            "{}/api/models/{}/revision/{revision}",
            self.endpoint, self.id.repo
        );
        let request = self.authorised(self.agent.get(url));
        let response = request.call().map_err(|error| self.unreachable(error))?;
        let text = self.good(response)?.into_body().read_to_string();
        let text = text.map_err(|error| self.unreachable(error))?;
        let model: Model = serde_json::from_str(&text).map_err(|error| self.unreachable(error))?;
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if model.sha.is_empty() || !hex(&model.sha) {
            return Err(self.unreachable("it named no commit"));
        }
        let files = model.siblings.into_iter().map(|file| file.rfilename);
        Ok((model.sha, files.collect()))
    }

    fn url(&self, commit: &str, file: &str) -> String {
        format!("{}/{}/resolve/{commit}/{file}", self.endpoint, self.id.repo)
    }

    pub(super) fn meta(&self, commit: &str, file: &str) -> Result<Meta, HubError> {
        // A redirection to where large files are would hide what the Hub says of them.
        let request = self.agent.head(self.url(commit, file));
        let request = request.config().max_redirects(0).build();
        let response = self
            .authorised(request)
            .call()
            .map_err(|error| self.unreachable(error))?;
        let response = self.good(response)?;
        let text = |names: [&str; 2]| {
            let value = names
                .iter()
                .find_map(|name| response.headers().get(*name))?;
            let value = value.to_str().ok()?.trim_start_matches("W/");
            Some(value.trim_matches('"').to_owned())
        };
        let sum = text(["x-linked-etag", "etag"]);
        let len = text(["x-linked-size", "content-length"]).and_then(|len| len.parse().ok());
        let safe = |sum: &String| !sum.is_empty() && sum.bytes().all(|b| b.is_ascii_alphanumeric());
        match (sum.filter(safe), len) {
            (Some(sum), Some(len)) => Ok(Meta { sum, len }),
            _ => Err(self.unreachable(format!("it does not say how large {file} is, or its sum"))),
        }
    }

    /// The file from byte `from` on; the whole file if the server cannot do that.
    pub(super) fn get(
        &self,
        commit: &str,
        file: &str,
        from: u64,
    ) -> Result<(bool, Body), HubError> {
        let mut request = self.authorised(self.agent.get(self.url(commit, file)));
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| self.unreachable(error))?;
        let response = self.good(response)?;
        Ok((response.status().as_u16() == 206, response.into_body()))
    }

    fn authorised<T>(&self, request: ureq::RequestBuilder<T>) -> ureq::RequestBuilder<T> {
        match &self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }
}

fn tls() -> Result<TlsConfig, String> {
    let found =
        tls::certificates().map_err(|problem| format!("cannot be downloaded: {problem}"))?;
    let certificates: Vec<_> = (found.certs.iter())
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
        .build())
}
