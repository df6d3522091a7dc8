//! What the executor's own processes say to each other. Supervisor and zygote speak over `control`, supervisor and
//! child over `channel`; `work` is what they say there. Of these only the child's words are not trusted.

pub(crate) mod channel;
pub(crate) mod control;
pub(crate) mod work;
