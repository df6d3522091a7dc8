//! The random model that other tests and the measurements use is what they take it for.

#[path = "common/random_model.rs"]
mod random_model;

use rust_inference::{
    model::{KvCache, LoadOptions, Model, ModelFiles},
    tokenizer::Piece,
};

#[test]
fn its_control_tokens_are_where_functiongemma_has_them() {
    let tokenizer = random_model::tokenizer();
    for (text, id) in [
        ("<eos>", 1),
        ("<bos>", 2),
        ("<start_function_declaration>", 46),
        ("<start_function_call>", 48),
        ("<end_function_call>", 49),
        ("<start_function_response>", 50),
        ("<escape>", 52),
        ("<start_of_turn>", 105),
        ("<end_of_turn>", 106),
    ] {
        assert_eq!(tokenizer.control(text), Some(id), "{text}");
    }
}

#[test]
fn all_of_its_vocabulary_stands_for_something() {
    let tokenizer = random_model::tokenizer();
    let empty = (0..random_model::VOCABULARY as u32).filter(|id| tokenizer.bytes(*id).is_empty());
    assert_eq!(empty.count(), 0);
}

/// Words with their spaces, single digits, joined punctuation: text is cut in the ways in which Gemma cuts it.
#[test]
fn its_pieces_are_like_gemmas() {
    let tokenizer = random_model::tokenizer();
    let cut: Vec<_> = [
        "call:convert_units{",
        "what is the weather",
        "value:-120.5,",
        "[{a:{b:1}},{c:[]}]",
        "a\n\n\nb  c</table>",
    ]
    .into_iter()
    .map(|text| {
        let ids = tokenizer.encode(&[Piece::Text(text)]).unwrap();
        let pieces: Vec<_> = (ids.iter())
            .map(|id| String::from_utf8_lossy(tokenizer.bytes(*id)))
            .collect();
        pieces.join("|")
    })
    .collect();
    assert_eq!(
        cut,
        [
            "call:|convert|_units|{",
            "what| is| the| weather",
            "value|:|-|1|2|0|.5|,",
            "[{|a|:{|b|:|1|}|},|{|c|:[|]|}]",
            "a|\n\n\n|b|  |c|</table>",
        ]
    );
}

#[test]
fn its_logits_are_random_but_tame() {
    let model = Model::load(
        &ModelFiles::open(random_model::directory()).unwrap(),
        &LoadOptions::default(),
    )
    .unwrap();
    let mut cache = KvCache::new(&model);
    let logits =
        model.logits(&model.forward(&[2, 105], &mut cache))[random_model::VOCABULARY..].to_vec();
    let mean = logits.iter().sum::<f32>() / logits.len() as f32;
    let variance = logits.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / logits.len() as f32;
    assert!(mean.abs() < 0.1, "{mean}");
    assert!((0.3..3.0).contains(&variance), "{variance}");
}
