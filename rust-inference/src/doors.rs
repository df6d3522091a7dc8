//! Which doors of HTTP the command line opens, and to whom: other machines are let in only by name.

use std::sync::Arc;

use ipc::{
    program::Failure,
    server::{Local, Service},
};
use rust_inference::http::{Address, Endpoint, Front, Pages};
use tokio::task::JoinSet;

use crate::cli;

/// Doors that are open.
pub(crate) struct Doors {
    /// Where they are, for people to read.
    pub(crate) places: Vec<String>,
    serving: JoinSet<()>,
}

impl Doors {
    /// Opens all that are asked for, or none.
    pub(crate) async fn open<S: Service>(
        args: &cli::Serve,
        local: Local<S>,
    ) -> Result<Self, Failure> {
        let mut endpoints = Vec::new();
        if let Some(path) = &args.http_socket {
            let endpoint = bind(&Address::Unix(path.clone()), "--http-socket").await?;
            let place = format!("http at {} (a Unix socket)", path.display());
            endpoints.push((place, endpoint, Pages::All));
        }
        if let Some(address) = &args.http {
            if address.is_public() && args.api_key.is_none() {
                return Err(Failure::usage(
                    "other machines could reach that address for --http, and there is no key",
                    "listen on 127.0.0.1, or set CALLSPAN_API_KEY (or --api-key) to what clients must show",
                ));
            }
            let endpoint = bind(address, "--http").await?;
            let place = format!("http at {}", endpoint.place("/v1"));
            endpoints.push((place, endpoint, Pages::All));
        }
        if let Some(address) = &args.metrics {
            if address.is_public() && !args.metrics_public {
                return Err(Failure::usage(
                    "other machines could reach that address for --metrics",
                    "listen on 127.0.0.1, or say --metrics-public if that is meant",
                ));
            }
            let endpoint = bind(address, "--metrics").await?;
            let place = format!("metrics at {}", endpoint.place("/metrics"));
            endpoints.push((place, endpoint, Pages::Metrics));
        }
        let front = Arc::new(Front::new(local, args.api_key.clone()));
        let (mut places, mut serving) = (Vec::new(), JoinSet::new());
        for (place, endpoint, pages) in endpoints {
            places.push(place);
            serving.spawn(endpoint.serve(front.clone(), pages));
        }
        Ok(Self { places, serving })
    }

    /// All are closed, which they are soon after shutdown was asked for.
    pub(crate) async fn closed(self) {
        self.serving.join_all().await;
    }
}

async fn bind(address: &Address, flag: &str) -> Result<Endpoint, Failure> {
    Endpoint::bind(address)
        .await
        .map_err(|error| Failure::new(error, format!("choose another address for {flag}")))
}
