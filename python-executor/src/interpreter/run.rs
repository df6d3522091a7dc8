//! What a child has the interpreter do: import a file, call a tool, run a snippet. Only text crosses between Rust and
//! Python.

use pyo3::{PyTypeInfo, exceptions::PyRuntimeError, intern, prelude::*, sync::PyOnceLock};

use super::Bridge;
use crate::protocol::work::{Failure, Warm, Work};

/// Longest text that is taken from an exception.
const MAX_MESSAGE: usize = 4000;

/// Our package, found once: a child that looked for it anew would copy more memory for that than for a call.
struct Package {
    runtime: Py<PyModule>,
    channel: Py<PyModule>,
}

static PACKAGE: PyOnceLock<Package> = PyOnceLock::new();

fn package(py: Python<'_>) -> PyResult<&Package> {
    PACKAGE.get_or_try_init(py, || {
        Ok(Package {
            runtime: py.import("callspan.runtime")?.unbind(),
            channel: py.import("callspan.channel")?.unbind(),
        })
    })
}

/// Makes, in the zygote, what each child would make for its first call: names, types, and the way to our package.
pub(super) fn rehearse(py: Python<'_>) -> PyResult<()> {
    package(py)?;
    Bridge::type_object(py);
    // Nobody has such a tool, which is found out on the way that all calls go.
    let call = Work::Call {
        name: String::new(),
        arguments: String::new(),
    };
    match work(&call) {
        Err(_) => Ok(()),
        Ok(_) => Err(PyRuntimeError::new_err("a tool without a name was called")),
    }
}

/// Gives the tool's code what its policy grants, and imports its file. The answer is the JSON of the file's tools, if
/// that was asked for.
pub(crate) fn warm(warm: &Warm, bridge: &Bridge) -> Result<String, Failure> {
    Python::attach(|py| {
        run(py, |runtime| {
            let channel = package(py)?.channel.bind(py);
            channel.setattr(intern!(py, "current"), bridge.clone())?;
            runtime.call_method0(intern!(py, "reseed"))?;
            if !warm.environment.is_empty() {
                runtime.call_method1(intern!(py, "set_environment"), (json(&warm.environment),))?;
            }
            if !warm.network.is_empty() {
                runtime.call_method1(intern!(py, "grant_network"), (warm.network.clone(),))?;
            }
            let Some(file) = &warm.file else {
                runtime.call_method0(intern!(py, "warm"))?;
                return Ok("[]".to_owned());
            };
            let file = file.to_string_lossy().into_owned();
            if warm.describe {
                return runtime
                    .call_method1(intern!(py, "describe_tool_file"), (file, &warm.source))?
                    .extract();
            }
            let file = (file, false, &warm.source, &warm.code);
            let told = runtime.call_method1(intern!(py, "load_tool_file"), file)?;
            runtime.call_method0(intern!(py, "warm"))?;
            told.extract()
        })
    })
}

/// Does what the child was made for; gives JSON text.
pub(crate) fn work(work: &Work) -> Result<String, Failure> {
    Python::attach(|py| {
        run(py, |runtime| match work {
            Work::Call { name, arguments } => runtime
                .call_method1(intern!(py, "call_tool"), (name, arguments))?
                .extract(),
            Work::Code { code, tools, .. } => runtime
                .call_method1(intern!(py, "run_code"), (code, tools))?
                .extract(),
        })
    })
}

fn json(environment: &[(String, String)]) -> String {
    let map: serde_json::Map<_, _> = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    serde_json::Value::Object(map).to_string()
}

fn run(
    py: Python<'_>,
    work: impl FnOnce(&Bound<'_, PyModule>) -> PyResult<String>,
) -> Result<String, Failure> {
    package(py)
        .and_then(|package| work(package.runtime.bind(py)))
        .map_err(|error| failure(py, &error))
}

/// Our runtime's exceptions carry plain text; of any other only its type is asked, for its text would be tool code.
fn failure(py: Python<'_>, error: &PyErr) -> Failure {
    let kind = error
        .get_type(py)
        .name()
        .map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
    let value = error.value(py);
    let attribute = |name: &str| -> String {
        let text = value
            .getattr(name)
            .and_then(|text| text.extract::<String>())
            .unwrap_or_default();
        text.chars().take(MAX_MESSAGE).collect()
    };
    match kind.as_str() {
        "ToolFailure" => Failure::Exception {
            kind: attribute("type_name"),
            message: attribute("message"),
            traceback: attribute("traceback"),
        },
        "BadResult" => Failure::BadResult(plain_text(value)),
        "ToolFileError" | "UnknownTool" => Failure::Exception {
            kind,
            message: plain_text(value),
            traceback: String::new(),
        },
        _ => Failure::Exception {
            kind,
            message: String::new(),
            traceback: String::new(),
        },
    }
}

/// The text of one of our own exceptions.
fn plain_text(value: &Bound<'_, PyAny>) -> String {
    let text = value.str().map(|text| text.to_string()).unwrap_or_default();
    text.chars().take(MAX_MESSAGE).collect()
}
