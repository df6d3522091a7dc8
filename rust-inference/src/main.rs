//! The `rust-inference` program: reads the command line, loads the model, serves, and reports what went wrong.

mod benchmark;
mod commands;
mod doors;
mod load;
mod mistral;
mod offers;
mod peers;

use std::{process::ExitCode, sync::Arc};

use ipc::{
    listen::{Listener, default_socket},
    program::{Failure, command_line, report, shutdown_on_signals},
    server::Local,
};
use rust_inference::{
    cli,
    model::LoadOptions,
    scheduler::{Capacity, sharing},
    service::{Inference, Keeping},
};

use self::{
    doors::Doors,
    offers::{Means, tell},
};

/// What a person can ask the server with: the program beside this one, if it was built or installed as well.
fn client() -> String {
    let beside = std::env::current_exe().map(|this| this.with_file_name("ipc"));
    match beside {
        Ok(program) if program.is_file() => program.display().to_string(),
        _ => "cargo run -p ipc --".to_owned(),
    }
}

fn main() -> ExitCode {
    let result = command_line::<cli::Cli>().and_then(|cli| match cli.command {
        Some(cli::Command::Render { input, batch }) => commands::render(&input, batch),
        Some(cli::Command::Parse { tools, batch }) => commands::parse(tools.as_deref(), batch),
        Some(cli::Command::Logits(args)) => logits(&args),
        Some(cli::Command::Accept(args)) => commands::accept(&args),
        Some(cli::Command::Schema {
            tools,
            lenient,
            batch,
        }) => commands::schema(tools.as_deref(), lenient, batch),
        Some(cli::Command::Bench(plan)) => benchmark::run(&plan),
        None => serve(&cli.serve),
    });
    report(result)
}

fn logits(args: &cli::Logits) -> Result<(), Failure> {
    let options = LoadOptions {
        weights: args.weights.into(),
        // Whoever compares does not want it to write beside what is compared.
        packed_cache: false,
        ..LoadOptions::default()
    };
    commands::logits(&load::model(args.model.as_deref(), None, &options)?)
}

fn serve(args: &cli::Serve) -> Result<(), Failure> {
    let socket = match &args.socket {
        Some(path) => path.clone(),
        None => default_socket("inference")
            .map_err(|error| Failure::usage(error, "give --socket PATH"))?,
    };
    args.kernel.choose();
    let default = LoadOptions::default();
    let options = LoadOptions {
        weights: args.weights.into(),
        threads: args.threads.unwrap_or(default.threads),
        packed_cache: !args.no_packed_cache,
    };
    let means = Means {
        options,
        capacity: Capacity {
            parallel: args.parallel,
            queue: args.queue,
            kv_bytes: args.kv_cache_mib << 20,
            prefix_bytes: args.prefix_cache_mib << 20,
        },
        max_tokens: args.max_tokens,
        sharing: sharing(),
    };
    let (first, others) = offers::offers(&args.models, &means)?;
    let mut names = vec![first.0.name.clone()];
    names.extend(others.iter().map(|offer| offer.name.clone()));
    let keeping = Keeping {
        keep_alive: args.models.keep_alive.0,
        memory_bytes: args.models.memory_mib << 20,
    };
    let service = Arc::new(Inference::new(first, others, keeping, means.sharing));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}"), ""))?;
    let served = runtime.block_on(async {
        let listener = Listener::bind(&socket).map_err(|error| {
            Failure::new(error, "choose another --socket, or stop what is using it")
        })?;
        let shutdown = shutdown_on_signals().map_err(|error| Failure::new(error, ""))?;
        let local = Local::new(Inference::info(), service.clone(), shutdown.clone());
        let doors = Doors::open(args, local).await?;
        ipc::listen::all_taken().map_err(|error| {
            Failure::new(error, "give --socket the path that the socket unit has")
        })?;
        tell(&format!(
            "serving {1} on {0} with {2}; try: {3} health {0}",
            socket.display(),
            names.join(", "),
            args.kernel.name(),
            client()
        ));
        for place in &doors.places {
            tell(place);
        }
        let tending = service.clone();
        tokio::spawn(async move { tending.tend().await });
        let served = ipc::server::serve(listener, Inference::info(), service, shutdown).await;
        doors.closed().await;
        served.map_err(|error| Failure::new(error, ""))
    });
    // Everybody was answered. What is still being computed is for nobody.
    runtime.shutdown_background();
    served
}
