defmodule CallspanClient do
  @moduledoc """
  A client of Callspan's servers: lines of JSON over a Unix socket, with nothing but Elixir.

  A request is a frame, `{"id": 1, "generate": {…}}`; the frames of its answer carry its id. The last of them is the
  one that is no `delta`. What may stand in a frame: `ipc call SOCKET describe`.

  A connection has one request at a time and belongs to the process that made it; who wants more at once has more
  processes.
  """

  alias CallspanClient.Json

  # The most that the protocol carries in a line.
  @most_bytes 0xFFFFFF

  defmodule ServerError do
    @moduledoc "The server's own word on why a request failed, with what to do about it."
    defexception [:code, :message, :hint]

    @impl true
    def message(%{code: code, message: message, hint: ""}), do: "#{code}: #{message}"
    def message(%{code: code, message: message, hint: hint}), do: "#{code}: #{message} (#{hint})"
  end

  defmodule ConnectionError do
    @moduledoc "There is no connection, or none any more."
    defexception [:message]
  end

  @enforce_keys [:socket, :timeout_ms, :requests]
  defstruct @enforce_keys

  @doc "Where rust-inference listens if it is told nothing else."
  def default_socket do
    given = System.get_env("CALLSPAN_INFERENCE_SOCKET")
    directory = System.get_env("XDG_RUNTIME_DIR")

    cond do
      given not in [nil, ""] -> given
      directory not in [nil, ""] -> Path.join([directory, "callspan", "inference.sock"])
      true -> raise ConnectionError, "neither CALLSPAN_INFERENCE_SOCKET nor XDG_RUNTIME_DIR says where the server is"
    end
  end

  @doc "Connects; no wait and no request may take longer than the time."
  def connect(path, timeout_ms \\ 120_000) do
    options = [:binary, packet: :line, buffer: 65_536, active: false]

    case :gen_tcp.connect({:local, path}, 0, options, timeout_ms) do
      {:ok, socket} -> %__MODULE__{socket: socket, timeout_ms: timeout_ms, requests: :counters.new(1, [])}
      {:error, why} -> raise ConnectionError, "#{path}: #{reason(why)}; start it: rust-inference --socket #{path}"
    end
  end

  def close(client), do: :gen_tcp.close(client.socket)

  @doc """
  Sends a request, such as `ask(client, %{generate: %{…}})`; gives a stream of the frames of its answer as they come.

  Who leaves the stream before its end cancels the request.
  """
  def ask(client, body) do
    Stream.resource(
      fn ->
        :counters.add(client.requests, 1, 1)
        send_frame(client, Map.merge(body, %{id: current(client), meta: %{timeout_ms: client.timeout_ms}}))
        :under_way
      end,
      fn
        :under_way -> next(client, current(client))
        :over -> {:halt, :over}
      end,
      fn
        :under_way -> cancel(client)
        :over -> :ok
      end
    )
    |> Stream.map(&checked/1)
  end

  @doc "Sends a request; gives the last frame of its answer."
  def last(client, body), do: client |> ask(body) |> Enum.at(-1)

  @doc "Has the server stop at the request under way, which ends with the ServerError CANCELLED."
  def cancel(client) do
    # Where there is no connection any more there is nothing to stop.
    _ = :gen_tcp.send(client.socket, [Json.encode(%{id: current(client), cancel: %{}}), ?\n])
    :ok
  end

  # Clients take odd numbers, by convention.
  defp current(client), do: 2 * :counters.get(client.requests, 1) - 1

  defp next(client, id) do
    frame = receive_frame(client)

    case {Map.get(frame, "id", 0), frame} do
      # 0 is the connection's own: an error there ends it.
      {owner, %{"error" => _}} when owner in [0, id] -> {[frame], :over}
      {^id, %{"delta" => _}} -> {[frame], :under_way}
      {^id, _} -> {[frame], :over}
      # Of a request that was left.
      _ -> next(client, id)
    end
  end

  defp checked(%{"error" => error}) do
    raise ServerError,
      code: Map.get(error, "code", "UNKNOWN"),
      message: Map.get(error, "message", ""),
      hint: Map.get(error, "hint", "")
  end

  defp checked(frame), do: frame

  defp send_frame(client, frame) do
    case :gen_tcp.send(client.socket, [Json.encode(frame), ?\n]) do
      :ok -> :ok
      {:error, why} -> raise ConnectionError, "the server cannot be written to: #{reason(why)}"
    end
  end

  defp receive_frame(client), do: client |> receive_line("") |> Json.decode!()

  # A line that is longer than the buffer comes in pieces.
  defp receive_line(_client, line) when byte_size(line) > @most_bytes do
    raise ConnectionError, "the server's line is too long"
  end

  defp receive_line(client, line) do
    case :gen_tcp.recv(client.socket, 0, client.timeout_ms) do
      {:ok, piece} -> if String.ends_with?(piece, "\n"), do: line <> piece, else: receive_line(client, line <> piece)
      {:error, :closed} -> raise ConnectionError, "the server is gone"
      {:error, why} -> raise ConnectionError, "nothing comes from the server: #{reason(why)}"
    end
  end

  defp reason(:timeout), do: "the time is over"
  defp reason(why), do: why |> :inet.format_error() |> to_string()
end
