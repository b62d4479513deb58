package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"repfuse"
	"repfuse/internal/family"
)

// describeFlags has the shell describe flags by what is said of them, without their value's name.
func describeFlags(root *cobra.Command) {
	for _, c := range root.Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if name, said, ok := strings.Cut(f.Usage, "`: "); ok && strings.HasPrefix(name, "`") {
				f.Usage = said
			}
		})
	}
}

// completeArguments has the shell complete no more arguments than a command takes.
func completeArguments(commands []*cobra.Command) {
	for _, c := range commands {
		next := c.ValidArgsFunction
		c.ValidArgsFunction = func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			one := append(slices.Clone(args), "x")
			switch {
			case c.Args(c, one) != nil && c.Args(c, append(one, "x")) != nil:
				return nil, cobra.ShellCompDirectiveNoFileComp
			case next != nil:
				return next(c, args, typed)
			}
			return nil, cobra.ShellCompDirectiveDefault // files
		}
	}
}

// yaml has the shell complete a flag with files of YAML.
func yaml(c *cobra.Command, flag string) {
	if err := c.MarkFlagFilename(flag, "yaml", "yml"); err != nil {
		panic(err) // a flag that no line above declares
	}
}

// words has the shell complete a flag with some words.
func words(c *cobra.Command, flag string, list ...string) {
	complete(c, flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp))
}

func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // a flag that no line above declares
	}
}

// knownFamilies is the families that are known where a command is typed, with those of its --families.
func knownFamilies(c *cobra.Command) ([]*family.Family, error) {
	files, err := c.Flags().GetStringArray("families")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	set, err := family.WithFiles(slices.Compact(files)) // cobra parses the line twice
	if err != nil {
		return nil, err
	}
	return set.All()
}

// familyNames completes the name of a family.
func familyNames(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	list, err := knownFamilies(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, f := range list {
		names = append(names, f.Name+"\t"+f.Title)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// answers completes [GLOB=]NAME=VALUE: the names of questions and, of those that are about whether, yes and no.
func answers(c *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	list, err := knownFamilies(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	before := typed[:strings.LastIndexByte(typed, '=')+1]
	asked := strings.TrimSuffix(before, "=")
	asked = asked[strings.LastIndexByte(asked, '=')+1:]
	met, names, isName := map[string]bool{}, []string{}, false
	for _, f := range list {
		for _, q := range f.Ask {
			switch {
			case q.Name == asked && strings.HasPrefix(q.About, "whether"):
				return []string{before + "yes", before + "no"}, cobra.ShellCompDirectiveNoFileComp
			case q.Name == asked:
				isName = true
			case !met[q.Name]:
				met[q.Name] = true
				names = append(names, before+q.Name+"=\t"+q.About)
			}
		}
	}
	if isName {
		names = nil
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// states completes the name of a dict by those of the file that was typed before.
func states(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if like, err := c.Flags().GetString("like"); err == nil {
		args = []string{like}
	}
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	f, err := repfuse.Open(c.Context(), args[0], repfuse.Reading{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer f.Close()
	names := f.States
	if f.State != "" {
		names = append([]string{f.State}, names...)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
