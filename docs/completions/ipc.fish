# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_ipc_global_optspecs
    string join \n h/help V/version
end

function __fish_ipc_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_ipc_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_ipc_using_subcommand
    set -l cmd (__fish_ipc_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c ipc -n "__fish_ipc_needs_command" -s h -l help -d 'Print help'
complete -c ipc -n "__fish_ipc_needs_command" -s V -l version -d 'Print version'
complete -c ipc -n "__fish_ipc_needs_command" -f -a "tap" -d 'Stand between clients and a server, and print one line per frame'
complete -c ipc -n "__fish_ipc_needs_command" -f -a "call" -d 'Send one request and print each answer frame as a line of JSON'
complete -c ipc -n "__fish_ipc_needs_command" -f -a "health" -d 'Ask a server how it is'
complete -c ipc -n "__fish_ipc_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c ipc -n "__fish_ipc_using_subcommand tap" -l format -d 'How frames are shown' -r -f -a "line\t'One line a frame, for people'
json\t'One JSON object a frame, for programs'
hex\t'The bytes as they went, undecoded'"
complete -c ipc -n "__fish_ipc_using_subcommand tap" -l color -d 'Whether lines are coloured' -r -f -a "auto\t''
always\t''
never\t''"
complete -c ipc -n "__fish_ipc_using_subcommand tap" -l queue-bytes -d 'Bytes that may wait to be shown; more are forwarded without being shown' -r
complete -c ipc -n "__fish_ipc_using_subcommand tap" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c ipc -n "__fish_ipc_using_subcommand call" -l timeout-ms -d 'How long to wait for the answer; 0: as long as the server allows' -r
complete -c ipc -n "__fish_ipc_using_subcommand call" -l traceparent -d 'The W3C trace context that this belongs to' -r
complete -c ipc -n "__fish_ipc_using_subcommand call" -l allow -d 'Tools that the server may call when it asks; all: every one' -r
complete -c ipc -n "__fish_ipc_using_subcommand call" -l artefacts -d 'Write the files that a tool returns into this directory, and leave them out of the JSON' -r -F
complete -c ipc -n "__fish_ipc_using_subcommand call" -l binary -d 'Speak binary frames instead of JSON lines'
complete -c ipc -n "__fish_ipc_using_subcommand call" -s h -l help -d 'Print help'
complete -c ipc -n "__fish_ipc_using_subcommand health" -l json -d 'Print the report as one line of JSON'
complete -c ipc -n "__fish_ipc_using_subcommand health" -s h -l help -d 'Print help'
complete -c ipc -n "__fish_ipc_using_subcommand help; and not __fish_seen_subcommand_from tap call health help" -f -a "tap" -d 'Stand between clients and a server, and print one line per frame'
complete -c ipc -n "__fish_ipc_using_subcommand help; and not __fish_seen_subcommand_from tap call health help" -f -a "call" -d 'Send one request and print each answer frame as a line of JSON'
complete -c ipc -n "__fish_ipc_using_subcommand help; and not __fish_seen_subcommand_from tap call health help" -f -a "health" -d 'Ask a server how it is'
complete -c ipc -n "__fish_ipc_using_subcommand help; and not __fish_seen_subcommand_from tap call health help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
