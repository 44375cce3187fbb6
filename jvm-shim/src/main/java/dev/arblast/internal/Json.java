package dev.arblast.internal;

/** The little of JSON that requests and queries need. */
public final class Json {
  private Json() {}

  /** A text as a JSON string. */
  public static String quote(String text) {
    StringBuilder quoted = new StringBuilder(text.length() + 2).append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        quoted.append('\\').append(c);
      } else if (c < ' ') {
        quoted.append(String.format("\\u%04x", (int) c));
      } else {
        quoted.append(c);
      }
    }
    return quoted.append('"').toString();
  }

  /** The first element of the first list of texts. */
  public static String firstText(String json) {
    int start = json.indexOf("[\"") + 2;
    StringBuilder text = new StringBuilder();
    for (int i = start; json.charAt(i) != '"'; i++) {
      boolean escaped = json.charAt(i) == '\\';
      i += escaped ? 1 : 0;
      char c = json.charAt(i);
      if (escaped && c == 'u') {
        text.append((char) Integer.parseInt(json.substring(i + 1, i + 5), 16));
        i += 4;
      } else {
        text.append(escaped && c == 'n' ? '\n' : escaped && c == 't' ? '\t' : c);
      }
    }
    return text.toString();
  }
}
