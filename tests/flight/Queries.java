import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Struct;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.format.DateTimeFormatter;
import java.time.ZoneOffset;
import java.util.Calendar;
import java.util.Collection;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TimeZone;

/** Runs statements through JDBC and prints what each gave, a JSON object per line. */
public final class Queries {
  private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS");

  public static void main(String[] args) throws Exception {
    // The driver complains of memory when a connection is closed that was browsed or had an error, so it stays open.
    Connection connection = DriverManager.getConnection(args[0]);
    for (String sql : Files.readString(Path.of(args[1])).split("\n;\n")) {
      try (Statement statement = connection.createStatement()) {
        print(sql, statement.executeQuery(sql));
      }
    }
    browse(connection);
    bind(connection);
    fail(connection);
  }

  private static void browse(Connection connection) throws SQLException {
    var data = connection.getMetaData();
    print("catalogs", data.getCatalogs());
    print("schemas", data.getSchemas());
    print("tables", data.getTables("arblast", "public", "%", new String[] {"TABLE"}));
    print("types", data.getTableTypes());
    print("columns", data.getColumns("arblast", "public", "correlators", "%"));
    print("keys", data.getPrimaryKeys("arblast", "public", "items"));
    System.out.println("{\"of\":\"product\",\"columns\":[],\"rows\":[[" + text(data.getDatabaseProductName()) + "]]}");
  }

  private static void bind(Connection connection) throws SQLException {
    String counted = "SELECT count(*) AS n FROM (VALUES ('a'), ('b'), ('c')) t(x) WHERE x <> ?";
    try (PreparedStatement statement = connection.prepareStatement(counted)) {
      statement.setString(1, "b");
      print("bound", statement.executeQuery());
    }
    try (PreparedStatement statement = connection.prepareStatement("SELECT count(*) AS n FROM recommend(?, ?)")) {
      statement.setString(1, "maya");
      statement.setLong(2, 3);
      print("asked", statement.executeQuery());
    }
  }

  /** Ends the program with what an error looks like. */
  private static void fail(Connection connection) throws SQLException {
    try {
      connection.createStatement().executeQuery("SELECT nothing FROM nowhere");
    } catch (SQLException error) {
      System.out.println("{\"of\":\"wrong\",\"columns\":[],\"rows\":[[" + text(String.valueOf(error.getMessage())) + "]]}");
      System.out.flush();
      Runtime.getRuntime().halt(0);
    }
    throw new AssertionError("no error");
  }

  private static void print(String of, ResultSet rows) throws SQLException {
    var data = rows.getMetaData();
    StringJoiner columns = new StringJoiner(",", "[", "]");
    for (int i = 1; i <= data.getColumnCount(); i++) columns.add(text(data.getColumnLabel(i)));
    StringJoiner all = new StringJoiner(",", "[", "]");
    while (rows.next()) {
      StringJoiner row = new StringJoiner(",", "[", "]");
      for (int i = 1; i <= data.getColumnCount(); i++) row.add(value(rows, i));
      all.add(row.toString());
    }
    rows.close();
    System.out.println("{\"of\":" + text(of) + ",\"columns\":" + columns + ",\"rows\":" + all + "}");
  }

  private static String value(ResultSet rows, int column) throws SQLException {
    // the driver gives moments with a zone by this method only
    int type = rows.getMetaData().getColumnType(column);
    if (type == Types.TIMESTAMP || type == Types.TIMESTAMP_WITH_TIMEZONE) {
      Timestamp moment = rows.getTimestamp(column, Calendar.getInstance(TimeZone.getTimeZone("UTC")));
      return moment == null ? "null" : text(TIME.format(moment.toInstant().atZone(ZoneOffset.UTC)));
    }
    return json(rows.getObject(column));
  }

  private static String json(Object value) throws SQLException {
    if (value == null || value instanceof Boolean || value instanceof Number) return String.valueOf(value);
    StringJoiner joined;
    if (value instanceof Array array) {
      joined = new StringJoiner(",", "[", "]");
      for (Object element : (Object[]) array.getArray()) joined.add(json(element));
    } else if (value instanceof Collection<?> list) {
      joined = new StringJoiner(",", "[", "]");
      for (Object element : list) joined.add(json(element));
    } else if (value instanceof Map<?, ?> map) {
      joined = new StringJoiner(",", "{", "}");
      for (var entry : map.entrySet()) joined.add(text(String.valueOf(entry.getKey())) + ":" + json(entry.getValue()));
    } else if (value instanceof Struct struct) {
      joined = new StringJoiner(",", "[", "]");
      for (Object element : struct.getAttributes()) joined.add(json(element));
    } else {
      return text(value.toString());
    }
    return joined.toString();
  }

  private static String text(String value) {
    StringBuilder out = new StringBuilder("\"");
    for (char c : value.toCharArray()) {
      if (c == '"' || c == '\\') out.append('\\').append(c);
      else if (c < ' ') out.append(String.format("\\u%04x", (int) c));
      else out.append(c);
    }
    return out.append('"').toString();
  }
}
