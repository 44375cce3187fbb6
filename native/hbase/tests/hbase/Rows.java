import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HexFormat;
import org.apache.hadoop.hbase.Cell;
import org.apache.hadoop.hbase.CellUtil;
import org.apache.hadoop.hbase.CompareOperator;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.Delete;
import org.apache.hadoop.hbase.client.Put;
import org.apache.hadoop.hbase.client.Result;
import org.apache.hadoop.hbase.client.Scan;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.filter.BinaryComparator;
import org.apache.hadoop.hbase.filter.QualifierFilter;
import org.apache.hadoop.hbase.filter.SkipFilter;

/**
 * HBase's own client, for what tests want another client to do. Commands come by lines; keys and values are hexadecimal.
 * <pre>
 * create NAMESPACE TABLE             with the families e and r
 * put TABLE KEY TIMESTAMP FAMILY QUALIFIER VALUE
 * delete TABLE KEY                   with the clock of the server as its timestamp
 * scan TABLE                         a line per cell: KEY FAMILY QUALIFIER TIMESTAMP VALUE
 * entity TABLE FROM TO               the same, from the greatest key before FROM down to TO
 * without TABLE QUALIFIER            the same, rows that have no such column
 * times TABLE FROM TO                the same, cells of these times
 * </pre>
 */
public final class Rows {
  private static final HexFormat HEX = HexFormat.of();

  public static void main(String[] arguments) throws Exception {
    try (var connection = ConnectionFactory.createConnection(HBaseConfiguration.create());
        var lines = new BufferedReader(new InputStreamReader(System.in))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        String[] words = line.split(" ", -1);
        if (words[0].equals("create")) {
          try (var admin = connection.getAdmin()) {
            admin.createNamespace(NamespaceDescriptor.create(words[1]).build());
            admin.createTable(
                TableDescriptorBuilder.newBuilder(TableName.valueOf(words[1], words[2]))
                    .setColumnFamily(ColumnFamilyDescriptorBuilder.of("e"))
                    .setColumnFamily(ColumnFamilyDescriptorBuilder.of("r"))
                    .build());
          }
          continue;
        }
        try (var table = connection.getTable(TableName.valueOf(words[1]))) {
          switch (words[0]) {
            case "put" -> table.put(
                new Put(HEX.parseHex(words[2]))
                    .addColumn(words[4].getBytes(), words[5].getBytes(), Long.parseLong(words[3]), HEX.parseHex(words[6])));
            case "delete" -> table.delete(new Delete(HEX.parseHex(words[2])));
            case "scan" -> print(table.getScanner(new Scan()));
            case "entity" -> print(
                table.getScanner(
                    new Scan().setReversed(true).withStartRow(HEX.parseHex(words[2])).withStopRow(HEX.parseHex(words[3]))));
            case "without" -> print(
                table.getScanner(
                    new Scan()
                        .setFilter(
                            new SkipFilter(
                                new QualifierFilter(
                                    CompareOperator.NOT_EQUAL, new BinaryComparator(words[2].getBytes()))))));
            case "times" -> print(
                table.getScanner(new Scan().setTimeRange(Long.parseLong(words[2]), Long.parseLong(words[3]))));
            default -> throw new IllegalArgumentException(line);
          }
        }
      }
    }
  }

  private static void print(Iterable<Result> results) {
    for (Result result : results) {
      for (Cell cell : result.rawCells()) {
        System.out.println(
            HEX.formatHex(CellUtil.cloneRow(cell))
                + " " + new String(CellUtil.cloneFamily(cell))
                + " " + new String(CellUtil.cloneQualifier(cell))
                + " " + cell.getTimestamp()
                + " " + HEX.formatHex(CellUtil.cloneValue(cell)));
      }
    }
    System.out.println("end");
  }
}
