//! MCP's transport: a message a line, both ways. The SDK's own has no bound for what is asked by someone who does not
//! read answers, passes over what it cannot read, and does not stop what was asked by someone who is gone.

use std::{
    collections::HashMap,
    io,
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::{
    model::{CancelledNotification, ErrorData, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, ServiceRole, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// Requests under way on one connection; when there are more, nothing is read until one is answered.
const MAX_REQUESTS: usize = 256;

/// Requests that were read and not yet answered. A client may use an id twice.
type UnderWay = Arc<Mutex<HashMap<RequestId, Vec<OwnedSemaphorePermit>>>>;

pub(crate) struct Lines<Role, R, W> {
    role: PhantomData<fn() -> Role>,
    reader: BufReader<R>,
    /// What was read of a line, so that reading it can be given up and gone on with.
    line: Vec<u8>,
    /// Bytes of a line that is taken.
    most: usize,
    /// It was too long, and the rest of it is passed over.
    skipping: bool,
    writer: Arc<tokio::sync::Mutex<W>>,
    slots: Arc<Semaphore>,
    under_way: UnderWay,
    /// The peer is: it says nothing more, or hears nothing more.
    gone: CancellationToken,
    rubbish: Option<Rubbish>,
}

/// Hears of lines that are no messages; false: no more of them are borne.
type Rubbish = Box<dyn FnMut(&str) -> bool + Send>;

enum Read {
    Line,
    TooLong,
    End,
}

impl<Role, R, W> Lines<Role, R, W>
where
    Role: ServiceRole,
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    pub(crate) fn new(reader: R, writer: W, most: usize, gone: CancellationToken) -> Self {
        Self {
            role: PhantomData,
            reader: BufReader::new(reader),
            line: Vec::new(),
            most,
            skipping: false,
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
            slots: Arc::new(Semaphore::new(MAX_REQUESTS)),
            under_way: UnderWay::default(),
            gone,
            rubbish: None,
        }
    }

    /// Lines that are no messages are told here, and not to the peer.
    pub(crate) fn with_rubbish(self, hear: impl FnMut(&str) -> bool + Send + 'static) -> Self {
        Self {
            rubbish: Some(Box::new(hear)),
            ..self
        }
    }

    /// Reads one line into `self.line`.
    async fn read(&mut self) -> io::Result<Read> {
        loop {
            let some = self.reader.fill_buf().await?;
            if some.is_empty() {
                return Ok(Read::End);
            }
            let end = some.iter().position(|byte| *byte == b'\n');
            let part = some.get(..end.unwrap_or(some.len())).unwrap_or_default();
            let too_long = self.line.len() + part.len() > self.most;
            if too_long {
                self.line.clear();
            } else if !self.skipping {
                self.line.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.reader.consume(taken);
            let said = too_long && !self.skipping;
            self.skipping = (self.skipping || too_long) && end.is_none();
            if said {
                return Ok(Read::TooLong);
            }
            // The end of what was passed over is an empty line.
            if end.is_some() {
                return Ok(Read::Line);
            }
        }
    }

    /// Nothing: the line is empty. Wrong: what it was, and what is wrong.
    fn message(&mut self) -> Option<Result<RxJsonRpcMessage<Role>, (String, ErrorData)>> {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii();
        if text.is_empty() {
            return None;
        }
        Some(serde_json::from_slice(text).map_err(|error| {
            let wrong = if error.is_data() {
                ErrorData::invalid_request(format!("this is no message of MCP: {error}"), None)
            } else {
                ErrorData::parse_error(format!("this is no JSON: {error}"), None)
            };
            (String::from_utf8_lossy(text).into_owned(), wrong)
        }))
    }

    /// Tells what was wrong with a line, beside everything else.
    fn complain(&mut self, error: ErrorData, slot: OwnedSemaphorePermit) {
        let told = self.send(JsonRpcMessage::error(error, None));
        tokio::spawn(async move {
            // Who is not told is gone.
            let _ = told.await;
            drop(slot);
        });
    }

    fn begin(&self, id: &RequestId, slot: OwnedSemaphorePermit) {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        under_way.entry(id.clone()).or_default().push(slot);
    }
}

fn ended(under_way: &UnderWay, id: &RequestId) {
    let mut under_way = under_way.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slots) = under_way.get_mut(id) {
        slots.pop();
        if slots.is_empty() {
            under_way.remove(id);
        }
    }
}

impl<Role, R, W> Transport<Role> for Lines<Role, R, W>
where
    Role: ServiceRole,
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<Role>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (writer, under_way, gone) = (
            self.writer.clone(),
            self.under_way.clone(),
            self.gone.clone(),
        );
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let written = async {
                let mut writer = writer.lock().await;
                writer.write_all(&line).await?;
                writer.flush().await
            };
            let written = written.await;
            if written.is_err() {
                gone.cancel();
            }
            match &message {
                JsonRpcMessage::Response(answer) => ended(&under_way, &answer.id),
                JsonRpcMessage::Error(error) => {
                    if let Some(id) = &error.id {
                        ended(&under_way, id);
                    }
                }
                JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
            }
            written
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<Role>> {
        let gone = self.gone.clone();
        loop {
            let slot = tokio::select! {
                () = gone.cancelled() => return None,
                slot = self.slots.clone().acquire_owned() => slot.ok()?,
            };
            let read = tokio::select! {
                () = gone.cancelled() => return None,
                read = self.read() => read,
            };
            let message = match read {
                Ok(Read::Line) => self.message(),
                Ok(Read::TooLong) => {
                    let why = format!("a message is longer than {} bytes", self.most);
                    Some(Err((why.clone(), ErrorData::invalid_request(why, None))))
                }
                Ok(Read::End) | Err(_) => {
                    gone.cancel();
                    return None;
                }
            };
            match message {
                None => {}
                Some(Err((line, error))) => match &mut self.rubbish {
                    None => self.complain(error, slot),
                    Some(hear) => {
                        if !hear(&line) {
                            gone.cancel();
                            return None;
                        }
                    }
                },
                Some(Ok(message)) => {
                    match &message {
                        JsonRpcMessage::Request(request) => self.begin(&request.id, slot),
                        // A call that was cancelled gets no answer.
                        JsonRpcMessage::Notification(told) => {
                            let told: Result<CancelledNotification, _> =
                                told.notification.clone().try_into();
                            if let Ok(told) = told
                                && let Some(id) = &told.params.request_id
                            {
                                ended(&self.under_way, id);
                            }
                        }
                        JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
                    }
                    return Some(message);
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.writer.lock().await.shutdown().await
    }
}
