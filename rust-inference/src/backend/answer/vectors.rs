//! What all vectors that stand for texts have in common: how many texts may be asked for, and a length of 1.

use ipc::Status;

/// Texts of one request.
const MAX_TEXTS: usize = 256;

pub(in crate::backend) fn check_texts(texts: &[String]) -> Result<(), Status> {
    if texts.is_empty() || texts.len() > MAX_TEXTS {
        return Err(Status::invalid_argument(format!(
            "{} texts; embed takes 1 to {MAX_TEXTS}",
            texts.len()
        ))
        .with_hint(r#"for instance {"input":["one text","another"]}"#));
    }
    match texts.iter().position(String::is_empty) {
        Some(index) => {
            Err(Status::invalid_argument(format!("input[{index}] is empty"))
                .with_hint("leave it out"))
        }
        None => Ok(()),
    }
}

/// Makes the vector's length 1; what has none stays as it is.
pub(in crate::backend) fn make_unit(values: &mut [f32]) {
    let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
    if squares > 0.0 {
        let length = squares.sqrt();
        for value in values {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}
