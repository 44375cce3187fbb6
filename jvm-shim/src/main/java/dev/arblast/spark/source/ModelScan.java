package dev.arblast.spark.source;

import dev.arblast.internal.Model;
import java.util.OptionalLong;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.connector.read.Statistics;
import org.apache.spark.sql.connector.read.SupportsReportStatistics;
import org.apache.spark.sql.types.StructType;

/** A read of a table of a model: its items in ranges, one a task. */
final class ModelScan extends ColumnarScan implements SupportsReportStatistics {
  private final ModelFile file;
  private final int tasks;

  ModelScan(SourceTable table, ModelFile file, int tasks) {
    super(table);
    this.file = file;
    this.tasks = tasks;
  }

  @Override
  public String description() {
    return "arblast " + table.label() + " of " + file;
  }

  /** About the bytes of the file, so that small tables are broadcast to be joined. */
  @Override
  public Statistics estimateStatistics() {
    return new Statistics() {
      @Override
      public OptionalLong sizeInBytes() {
        return OptionalLong.of(file.length());
      }

      @Override
      public OptionalLong numRows() {
        return OptionalLong.empty();
      }
    };
  }

  @Override
  public InputPartition[] planInputPartitions() {
    int items = LocalModel.of(file).model().items();
    int ranges = Math.max(1, Math.min(tasks, items));
    InputPartition[] partitions = new InputPartition[ranges];
    for (int i = 0; i < ranges; i++) {
      partitions[i] = new ItemRange(part(items, i, ranges), part(items, i + 1, ranges));
    }
    return partitions;
  }

  private static int part(int items, int i, int ranges) {
    return (int) ((long) items * i / ranges);
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    return new Readers(table, file, readSchema());
  }

  /** Some items of a model. */
  private static final class ItemRange implements InputPartition {
    private static final long serialVersionUID = 1;

    final int first;
    final int end;

    ItemRange(int first, int end) {
      this.first = first;
      this.end = end;
    }
  }

  private static final class Readers extends ColumnarReaders {
    private static final long serialVersionUID = 1;

    private final SourceTable table;
    private final ModelFile file;

    Readers(SourceTable table, ModelFile file, StructType columns) {
      super(table, columns);
      this.table = table;
      this.file = file;
    }

    @Override
    Pages open(InputPartition partition) {
      ItemRange range = (ItemRange) partition;
      Model model = LocalModel.of(file).model();
      return new ItemPages(model, table.what, range.first, range.end);
    }
  }
}
