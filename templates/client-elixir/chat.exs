# mix run chat.exs "Set an alarm for 7"
case System.argv() do
  [question] ->
    try do
      client = CallspanClient.connect(CallspanClient.default_socket())
      CallspanClient.Chat.chat(client, question, &IO.write/1)
    rescue
      error ->
        IO.puts(:stderr, "error: #{Exception.message(error)}")
        System.halt(1)
    end

  _ ->
    IO.puts(:stderr, ~s(usage: mix run chat.exs "Set an alarm for 7"))
    System.halt(2)
end
