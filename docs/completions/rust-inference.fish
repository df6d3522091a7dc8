# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rust_inference_global_optspecs
    string join \n socket= model= backend= lora= adapter= keep-alive= models-mib= peer-timeout= parallel= kv-cache-mib= queue= threads= weights= kernel= max-tokens= prefix-cache-mib= http-socket= http= api-key= metrics= metrics-public no-packed-cache h/help V/version
end

function __fish_rust_inference_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rust_inference_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rust_inference_using_subcommand
    set -l cmd (__fish_rust_inference_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rust-inference -n "__fish_rust_inference_needs_command" -l socket -d 'Where to listen [default: `$XDG_RUNTIME_DIR/callspan/inference.sock`]' -r -F
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l model -d 'A directory or a .gguf file of a Gemma 3 text model, its name on Hugging Face (org/name, org/name@revision, org/name:file.gguf), or built-in [default: built-in]. With NAME= before it requests call it so; may be given several times: the first is the default and stays, the others are loaded on demand. openai:URL is another server, on http:, https: or unix:, with #MODEL behind the URL for one of its models; without it requests name NAME/MODEL' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l backend -d 'Who computes a --model that does not say so itself by native: or openai: before it' -r -f -a "native\t'This program\'s own engine'
openai\t'Another server, by its URL: Ollama, LM Studio, llama-server, vLLM and what else speaks OpenAI\'s HTTP. Its key is read from `CALLSPAN_PEER_API_KEY`'
mistralrs\t'mistral.rs, for graphics processors and other models (only if built with the feature mistralrs)'"
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l lora -d 'The PEFT directory of a LoRA adapter, merged into the first model\'s weights' -r -F
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l adapter -d 'The PEFT directory of a LoRA adapter of the first model that requests may name; may be given several times' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l keep-alive -d 'How long a model that was loaded on demand stays when nobody asks for it: 30s, 10m, 1h, or forever' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l models-mib -d 'MiB of weights in memory, of all models together; those not used for longest make room for others' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l peer-timeout -d 'How long another server may keep silent, before it begins to answer or in the middle' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l parallel -d 'Requests that are worked on at once: they share the reading of the weights' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l kv-cache-mib -d 'MiB of memory for the KV caches of requests at work; each reserves the most that it can come to need, and waits if that is not free' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l queue -d 'Requests that may wait for the model; more are refused' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l threads -d 'Threads that compute [default: the physical cores that it may use]' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l weights -d 'What the weights are kept as in memory: q4 is the smallest and q8 nearly as good as all, bf16 is as exact as most checkpoints are, f32 also computes attention exactly' -r -f -a "q4\t''
q8\t''
bf16\t''
f32\t''"
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l kernel -d 'Instructions to compute with: auto (the best that the processor has), portable, avx2, avxvnni or avx512vnni' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l max-tokens -d 'Most tokens of one answer' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l prefix-cache-mib -d 'MiB of memory for what was computed of earlier requests, so that a prompt that begins like one of them need only compute its end; 0 keeps nothing' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l http-socket -d 'Speak OpenAI\'s API as well, on this Unix socket' -r -F
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l http -d 'Speak OpenAI\'s API as well, on 127.0.0.1:PORT (port 0: any); on an address that other machines reach only with --api-key' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l api-key -d 'What HTTP\'s clients must show as Authorization: Bearer KEY, on every path but /health; on the command line others can see it, in the environment they cannot' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l metrics -d 'Answer GET /metrics for Prometheus on 127.0.0.1:PORT, or on a Unix socket (a path with a / in it)' -r
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l metrics-public -d 'Let --metrics listen where other machines can reach it'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -l no-packed-cache -d 'Do not keep packed weights on disk (beside the model, or in `$XDG_CACHE_HOME/callspan`) for a faster next start'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -s V -l version -d 'Print version'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "bench" -d 'Measure how fast this machine runs the model, beside how fast it could'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "render" -d 'Print the exact prompt of a conversation, and nothing else'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "parse" -d 'Print the text and the calls of what a model wrote, from standard input, as JSON; exit 1 if a call is not valid'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "accept" -d 'Say whether a text is one that the constraint accepts: exit 0 if it is, 1 with the byte and what was expected if not, 2 if the schemas cannot be kept to'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "logits" -d 'Print the logits of texts, to compare them with another engine\'s: for each line of standard input, a JSON string in the model\'s own format, a line {"ids", "columns"}, then a row of little-endian f32 for each id'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "schema" -d 'Print what was understood of the tools\' schemas, and what was refused; exit 1 if anything was'
complete -c rust-inference -n "__fish_rust_inference_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l model -d 'As when serving [default: the small model that is built in]' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l weights -d 'What the weights are kept as, one after the other' -r -f -a "q4\t''
q8\t''
bf16\t''
f32\t''"
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l threads -d 'Threads that compute, one number after the other [default: the physical cores that it may use]' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l kernel -d 'Instructions to compute with: auto (the best that the processor has), portable, avx2, avxvnni or avx512vnni' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l only -d 'Measure only these' -r -f -a "prefill\t'Reading a prompt'
decode\t'Writing token by token'
batch\t'Small batches without the head'
call\t'A function call over the socket, its tools never seen before and seen before'
clients\t'Several clients at once'"
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -s p -l prefill -d 'Tokens of prompts' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -s n -l decode -d 'Tokens that are written one by one, each of the whole vocabulary' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -s d -l depth -d 'Positions that are there already, for --decode and --batch' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l batch -d 'Tokens that go through the model together and need no head, as forced ones do' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l clients -d 'Clients that each ask for 32 tokens at the same time' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -s r -l runs -d 'Runs of each measurement, behind one that does not count' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -l json -d 'Print one JSON object a line instead of a table'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand bench" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand render" -l input -d 'A file with {"messages": […], "tools": […]} as OpenAI writes them; - is standard input' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand render" -l batch -d 'Answer each line {"id", "tools", "messages"} by a line {"id", "ok", "result" | "error"}'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand render" -s h -l help -d 'Print help'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand parse" -l tools -d 'A file with the tools that were offered, as OpenAI writes them: […] or {"tools": […]}' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand parse" -l batch -d 'Answer each line {"id", "tools", "text"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand parse" -s h -l help -d 'Print help'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l tools -d 'A file with the tools that were offered, as OpenAI writes them: […] or {"tools": […]}' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l input -d 'The text; - is standard input' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l tool-choice -d 'Whether and what may be called: auto, required, none, or the name of a function' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l max-calls -d 'Most calls of one answer' -r
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l argument-order -d 'The order of arguments' -r -f -a "sorted\t'By name, ignoring case'
declared\t'As the schema lists its properties'
any\t'Any'"
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l model -d 'The Hugging Face directory of a model: count the text in its tokens, and see that they can spell it' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l batch -d 'Answer each line {"id", "tools", "text"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -l lenient -d 'Leave out of the schemas what cannot be kept to, instead of refusing them'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand accept" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand logits" -l model -d 'As when serving [default: the small model that is built in]' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand logits" -l weights -d 'What the weights are kept as in memory' -r -f -a "q4\t''
q8\t''
bf16\t''
f32\t''"
complete -c rust-inference -n "__fish_rust_inference_using_subcommand logits" -s h -l help -d 'Print help'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand schema" -l tools -d 'A file with tools, as OpenAI writes them: […] or {"tools": […]}' -r -F
complete -c rust-inference -n "__fish_rust_inference_using_subcommand schema" -l lenient -d 'Leave out of the schemas what cannot be kept to, and say so'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand schema" -l batch -d 'Answer each line {"id", "tools"} by a line {"id", "ok", "result" | "error"}; --tools is for lines without'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand schema" -s h -l help -d 'Print help'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "bench" -d 'Measure how fast this machine runs the model, beside how fast it could'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "render" -d 'Print the exact prompt of a conversation, and nothing else'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "parse" -d 'Print the text and the calls of what a model wrote, from standard input, as JSON; exit 1 if a call is not valid'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "accept" -d 'Say whether a text is one that the constraint accepts: exit 0 if it is, 1 with the byte and what was expected if not, 2 if the schemas cannot be kept to'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "logits" -d 'Print the logits of texts, to compare them with another engine\'s: for each line of standard input, a JSON string in the model\'s own format, a line {"ids", "columns"}, then a row of little-endian f32 for each id'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "schema" -d 'Print what was understood of the tools\' schemas, and what was refused; exit 1 if anything was'
complete -c rust-inference -n "__fish_rust_inference_using_subcommand help; and not __fish_seen_subcommand_from bench render parse accept logits schema help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
