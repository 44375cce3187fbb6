//! What Hadoop's configuration says, as far as its client does not tell.

use std::path::PathBuf;

use url::Url;

use crate::Options;

/// A property in the text of a configuration file of Hadoop or HBase; `None` if it is missing or empty.
pub fn property(xml: &str, name: &str) -> Option<String> {
    let (_, after) = xml.split_once(&format!("<name>{name}</name>"))?;
    let (own, _) = after.split_once("</property>")?;
    let (_, value) = own.split_once("<value>")?;
    let (value, _) = value.split_once("</value>")?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The folder of the configuration, as Hadoop's client finds it.
fn folder() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HADOOP_HOME")?).join("etc/hadoop"));
    std::env::var_os("HADOOP_CONF_DIR").map(PathBuf::from).or_else(home)
}

fn configured(name: &str) -> Option<String> {
    let folder = folder()?;
    let of_file = |file: &str| property(&std::fs::read_to_string(folder.join(file)).ok()?, name);
    of_file("hdfs-site.xml").or_else(|| of_file("core-site.xml"))
}

/// The option that makes a client begin with another name node of the service; none if there is one name node.
pub(crate) fn name_nodes_from(url: &Url, options: Options<'_>, turn: usize) -> Option<(String, String)> {
    let name = format!("dfs.ha.namenodes.{}", url.host_str()?);
    let given = options.iter().find(|(option, _)| *option == name).map(|(_, value)| value.clone());
    let listed = given.or_else(|| configured(&name))?;
    let mut nodes: Vec<&str> = listed.split(',').map(str::trim).collect();
    let turn = turn % nodes.len();
    nodes.rotate_left(turn);
    Some((name, nodes.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_node_comes_first_in_turn() {
        let options = [("dfs.ha.namenodes.ns".to_owned(), "a, b,c".to_owned())];
        let url = Url::parse("hdfs://ns/models").unwrap();
        let first = |turn| name_nodes_from(&url, &options, turn).unwrap().1;
        assert_eq!([first(0), first(1), first(2), first(3)], ["a,b,c", "b,c,a", "c,a,b", "a,b,c"]);
        assert_eq!(name_nodes_from(&Url::parse("hdfs://host:8020/").unwrap(), &options, 1), None);
    }
}
