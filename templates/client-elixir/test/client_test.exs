defmodule CallspanClientTest do
  # Against the real server, of CALLSPAN_BIN_DIR or PATH, with its built-in model.
  use ExUnit.Case

  import CallspanClient
  alias CallspanClient.{Chat, ConnectionError, Json, ServerError}

  # An answer that lasts: so many numbers take the model seconds.
  @endless %{
    generate: %{
      chat: %{messages: [%{role: "user", content: "Hello"}]},
      stream: true,
      response_format: %{
        type: "json_schema",
        schema: %{
          type: "object",
          properties: %{numbers: %{type: "array", items: %{type: "integer"}, minItems: 1000}},
          required: ["numbers"]
        }
      }
    }
  }

  setup_all do
    program = find("rust-inference")
    # Short, because the path of a Unix socket holds about 100 bytes.
    {room, 0} = System.cmd("mktemp", ["-d", "/tmp/cs-XXXXXX"])
    socket = room |> String.trim() |> Path.join("s")
    # A port that is closed ends its program's input, and not the program: the shell does that, whatever becomes of us.
    script = ~S("$@" >&2 & read -r _; kill $!; wait $!; rm -r "${3%/*}")
    arguments = ["-c", script, "sh", program, "--socket", socket, "--max-tokens", "100000"]
    Port.open({:spawn_executable, "/bin/sh"}, [:binary, args: arguments])

    await(
      fn -> File.exists?(socket) and connects?(socket) end,
      "rust-inference to listen; it says why on standard error"
    )

    %{socket: socket}
  end

  setup %{socket: socket} do
    client = connect(socket, 60_000)
    on_exit(fn -> close(client) end)
    %{client: client}
  end

  test "a call is valid by its schema", %{client: client} do
    request = %{chat: %{messages: [%{role: "user", content: "Wake me"}]}, tools: Chat.tools()}
    answer = last(client, %{generate: Map.merge(request, %{tool_choice: "required", max_calls: 1})})
    assert [%{"name" => "set_alarm", "arguments" => arguments}] = answer["done"]["tool_calls"]
    assert %{"hour" => hour} = Json.decode!(arguments)
    assert hour in 0..23
  end

  test "a tool is called and its result told", %{client: client} do
    answer = Chat.chat(client, "Set an alarm for 7", &send(self(), {:shown, &1}))
    assert shown() =~ ~r/set_alarm \{"hour":\d+\} = \{"set":"\d\d:00"\}\n/
    assert answer != ""
  end

  test "a stream is the answer in pieces", %{client: client} do
    request = %{chat: %{messages: [%{role: "user", content: "Hello, who are you?"}]}, stream: true}
    {pieces, [%{"done" => done}]} = client |> ask(%{generate: request}) |> Enum.split(-1)
    assert done["content"] != ""
    assert Enum.map_join(pieces, &Map.get(&1["delta"], "text", "")) == done["content"]
  end

  test "what is cancelled ends, and the connection goes on", %{client: client} do
    error = assert_raise ServerError, fn -> client |> ask(@endless) |> Enum.each(fn _ -> cancel(client) end) end
    assert error.code == "CANCELLED"
    assert last(client, %{ping: %{payload: "here"}})["pong"] == %{"payload" => "here"}
  end

  test "a stream that is left is cancelled", %{client: client} do
    before = cancelled(client)
    assert [%{"delta" => _}] = client |> ask(@endless) |> Enum.take(1)
    await(fn -> cancelled(client) > before end, "the request to be cancelled")
  end

  test "a frame that is longer than the buffer is read", %{client: client} do
    payload = String.duplicate("é", 200_000)
    assert last(client, %{ping: %{payload: payload}})["pong"] == %{"payload" => payload}
  end

  test "a bad request is told", %{client: client} do
    assert_raise ServerError, ~r/INVALID_ARGUMENT: .*sometimes/, fn ->
      last(client, %{generate: %{prompt: "x", tool_choice: "sometimes"}})
    end
  end

  test "a server that is not there is named" do
    assert_raise ConnectionError, ~r"/proc/nowhere: .*start it: rust-inference", fn -> connect("/proc/nowhere") end
  end

  # How many requests the server has counted as cancelled.
  defp cancelled(client) do
    text = last(client, %{metrics: %{}})["metrics_report"]["text"]

    case Regex.run(~r/^callspan_inference_requests_total\{.*"cancelled".*\} (\d+)$/m, text) do
      [_, count] -> String.to_integer(count)
      nil -> 0
    end
  end

  defp find(name) do
    where = System.get_env("CALLSPAN_BIN_DIR")
    found = if where, do: Path.join(where, name), else: System.find_executable(name)

    unless found && File.exists?(found) do
      raise "#{name} is not in #{where || "PATH"}: put Callspan's bin on PATH, or set CALLSPAN_BIN_DIR"
    end

    Path.expand(found)
  end

  defp connects?(socket) do
    socket |> connect() |> close()
    true
  rescue
    ConnectionError -> false
  end

  defp await(condition, what, left \\ 1500)
  defp await(_condition, what, 0), do: raise("waited in vain for #{what}")

  defp await(condition, what, left) do
    unless condition.() do
      Process.sleep(20)
      await(condition, what, left - 1)
    end
  end

  defp shown do
    receive do
      {:shown, text} -> text <> shown()
    after
      0 -> ""
    end
  end
end
