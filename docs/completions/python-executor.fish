# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_python_executor_global_optspecs
    string join \n socket= mcp mcp-server= mcp-config= tools= venv= isolation= max-calls= queue= preload= spares= max-spares= sessions= zygotes= wall-ms= cpu-s= policy= cgroup= grant-declared h/help V/version
end

function __fish_python_executor_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_python_executor_global_optspecs) -- $cmd 2>/dev/null
    or return 0
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_python_executor_using_subcommand
    set -l cmd (__fish_python_executor_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c python-executor -n "__fish_python_executor_needs_command" -l socket -d 'Where to listen [default: `$XDG_RUNTIME_DIR/callspan/executor.sock`]' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l mcp-server -d 'Mount an MCP server, whose tools are then called `NAME__TOOL`: NAME=command argument … (can be repeated)' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l mcp-config -d 'Mount the MCP servers of a file as other clients have it: {"mcpServers": {"NAME": {"command": …, "args": […]}}}' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l tools -d 'The directory of the tools\' Python files [default: the example tools]' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l venv -d 'The virtual environment whose Python and packages the tools use [default: .venv beside the program]' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l isolation -d 'How tools are confined: auto takes the best of full and reduced, none is for those who trust every tool' -r -f -a "auto\t'The best that there is, never less than reduced'
full\t'Namespaces and a private root, with all that reduced has; or nothing runs'
reduced\t'Landlock, seccomp and limits'
seatbelt-unverified\t'macOS: a Seatbelt profile that has never been run, and limits'
none\t'Limits only: for those who trust every tool and ask for it by name'"
complete -c python-executor -n "__fish_python_executor_needs_command" -l max-calls -d 'Calls that may run at once; more wait' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l queue -d 'Calls that may wait; more are refused' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l preload -d 'Modules that are imported once for all calls, such as numpy,pandas; their hooks for forks are not run' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l spares -d 'Children that wait for calls of each tool file, made ahead' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l max-spares -d 'Children that wait for calls of any tool file' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l sessions -d 'Sessions of snippets that may be open at once' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l zygotes -d 'Processes that make children; each makes one at a time. By default half as many as there are processors, 2 to 4' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l wall-ms -d 'Longest time of one call, which no policy can raise [default: what the policy file says, or 5000]' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l cpu-s -d 'Most processor time of one call, in whole seconds, which no policy can raise [default: what the policy file says, or 10]' -r
complete -c python-executor -n "__fish_python_executor_needs_command" -l policy -d 'What tools may use and reach: a TOML file' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l cgroup -d 'The control group (a directory of cgroup v2) that was delegated to this program [default: its own, if it can be used]' -r -F
complete -c python-executor -n "__fish_python_executor_needs_command" -l mcp -d 'Speak MCP on standard input and output, and listen nowhere'
complete -c python-executor -n "__fish_python_executor_needs_command" -l grant-declared -d 'Give tools the files, addresses and variables that they declare, where the policy file says nothing of them'
complete -c python-executor -n "__fish_python_executor_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c python-executor -n "__fish_python_executor_needs_command" -s V -l version -d 'Print version'
complete -c python-executor -n "__fish_python_executor_needs_command" -f -a "check" -d 'Loads the tools of a directory as a server would, and says what is wrong with them: exit status 0 if nothing is, else 1'
complete -c python-executor -n "__fish_python_executor_needs_command" -f -a "doctor" -d 'Tells what protects this machine from tools, as a tool finds it: exit status 0 if that is all there is, else 1'
complete -c python-executor -n "__fish_python_executor_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l socket -d 'Where to listen [default: `$XDG_RUNTIME_DIR/callspan/executor.sock`]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l mcp-server -d 'Mount an MCP server, whose tools are then called `NAME__TOOL`: NAME=command argument … (can be repeated)' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l mcp-config -d 'Mount the MCP servers of a file as other clients have it: {"mcpServers": {"NAME": {"command": …, "args": […]}}}' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l tools -d 'The directory of the tools\' Python files [default: the example tools]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l venv -d 'The virtual environment whose Python and packages the tools use [default: .venv beside the program]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l isolation -d 'How tools are confined: auto takes the best of full and reduced, none is for those who trust every tool' -r -f -a "auto\t'The best that there is, never less than reduced'
full\t'Namespaces and a private root, with all that reduced has; or nothing runs'
reduced\t'Landlock, seccomp and limits'
seatbelt-unverified\t'macOS: a Seatbelt profile that has never been run, and limits'
none\t'Limits only: for those who trust every tool and ask for it by name'"
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l max-calls -d 'Calls that may run at once; more wait' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l queue -d 'Calls that may wait; more are refused' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l preload -d 'Modules that are imported once for all calls, such as numpy,pandas; their hooks for forks are not run' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l spares -d 'Children that wait for calls of each tool file, made ahead' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l max-spares -d 'Children that wait for calls of any tool file' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l sessions -d 'Sessions of snippets that may be open at once' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l zygotes -d 'Processes that make children; each makes one at a time. By default half as many as there are processors, 2 to 4' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l wall-ms -d 'Longest time of one call, which no policy can raise [default: what the policy file says, or 5000]' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l cpu-s -d 'Most processor time of one call, in whole seconds, which no policy can raise [default: what the policy file says, or 10]' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l policy -d 'What tools may use and reach: a TOML file' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l cgroup -d 'The control group (a directory of cgroup v2) that was delegated to this program [default: its own, if it can be used]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l mcp -d 'Speak MCP on standard input and output, and listen nowhere'
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -l grant-declared -d 'Give tools the files, addresses and variables that they declare, where the policy file says nothing of them'
complete -c python-executor -n "__fish_python_executor_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l socket -d 'Where to listen [default: `$XDG_RUNTIME_DIR/callspan/executor.sock`]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l mcp-server -d 'Mount an MCP server, whose tools are then called `NAME__TOOL`: NAME=command argument … (can be repeated)' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l mcp-config -d 'Mount the MCP servers of a file as other clients have it: {"mcpServers": {"NAME": {"command": …, "args": […]}}}' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l tools -d 'The directory of the tools\' Python files [default: the example tools]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l venv -d 'The virtual environment whose Python and packages the tools use [default: .venv beside the program]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l isolation -d 'How tools are confined: auto takes the best of full and reduced, none is for those who trust every tool' -r -f -a "auto\t'The best that there is, never less than reduced'
full\t'Namespaces and a private root, with all that reduced has; or nothing runs'
reduced\t'Landlock, seccomp and limits'
seatbelt-unverified\t'macOS: a Seatbelt profile that has never been run, and limits'
none\t'Limits only: for those who trust every tool and ask for it by name'"
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l max-calls -d 'Calls that may run at once; more wait' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l queue -d 'Calls that may wait; more are refused' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l preload -d 'Modules that are imported once for all calls, such as numpy,pandas; their hooks for forks are not run' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l spares -d 'Children that wait for calls of each tool file, made ahead' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l max-spares -d 'Children that wait for calls of any tool file' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l sessions -d 'Sessions of snippets that may be open at once' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l zygotes -d 'Processes that make children; each makes one at a time. By default half as many as there are processors, 2 to 4' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l wall-ms -d 'Longest time of one call, which no policy can raise [default: what the policy file says, or 5000]' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l cpu-s -d 'Most processor time of one call, in whole seconds, which no policy can raise [default: what the policy file says, or 10]' -r
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l policy -d 'What tools may use and reach: a TOML file' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l cgroup -d 'The control group (a directory of cgroup v2) that was delegated to this program [default: its own, if it can be used]' -r -F
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l json -d 'As JSON'
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l mcp -d 'Speak MCP on standard input and output, and listen nowhere'
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -l grant-declared -d 'Give tools the files, addresses and variables that they declare, where the policy file says nothing of them'
complete -c python-executor -n "__fish_python_executor_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c python-executor -n "__fish_python_executor_using_subcommand help; and not __fish_seen_subcommand_from check doctor help" -f -a "check" -d 'Loads the tools of a directory as a server would, and says what is wrong with them: exit status 0 if nothing is, else 1'
complete -c python-executor -n "__fish_python_executor_using_subcommand help; and not __fish_seen_subcommand_from check doctor help" -f -a "doctor" -d 'Tells what protects this machine from tools, as a tool finds it: exit status 0 if that is all there is, else 1'
complete -c python-executor -n "__fish_python_executor_using_subcommand help; and not __fish_seen_subcommand_from check doctor help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
