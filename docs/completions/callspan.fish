# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_callspan_global_optspecs
    string join \n version h/help
end

function __fish_callspan_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_callspan_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_callspan_using_subcommand
    set -l cmd (__fish_callspan_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c callspan -n "__fish_callspan_needs_command" -l version -d 'Show the version'
complete -c callspan -n "__fish_callspan_needs_command" -s h -l help -d 'Show this help text'
complete -c callspan -n "__fish_callspan_needs_command" -f -a "ask" -d 'Answers QUESTION with the help of tools: asks the model what to call, runs that in the sandbox, tells the model the result, and prints each step. Starts both servers unless their sockets are given.'
complete -c callspan -n "__fish_callspan_needs_command" -f -a "init" -d 'Makes DIR, a project to start from: tools, an agent, or a client in some language, each with its test.'
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l tools -d 'Python files with the tools (default: python-executor\'s own examples)' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l model -d 'A model\'s directory in Hugging Face\'s layout (default: the built-in model)' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l max-rounds -d 'Ask the model at most N times (default: 4)' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l timeout -d 'Give up after so long (default: 120)' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l inference -d 'Use the rust-inference that listens here' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l executor -d 'Use the python-executor that listens here' -r
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l json -d 'Print events as JSON lines instead of text for a person'
complete -c callspan -n "__fish_callspan_using_subcommand ask" -l tap -d 'Show every frame on stderr, as ipc tap sees it'
complete -c callspan -n "__fish_callspan_using_subcommand ask" -s v -l verbose -d 'Show what the servers say, and how far tools have come and what they log'
complete -c callspan -n "__fish_callspan_using_subcommand ask" -s h -l help -d 'Show this help text'
complete -c callspan -n "__fish_callspan_using_subcommand init" -l list -d 'List the templates'
complete -c callspan -n "__fish_callspan_using_subcommand init" -s h -l help -d 'Show this help text'
