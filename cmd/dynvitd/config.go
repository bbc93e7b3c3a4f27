package main

import (
	"errors"
	"fmt"

	schemes "dynvit/camera/all"
	"dynvit/config"
	"dynvit/engine"
	"dynvit/lineup"

	"github.com/spf13/cobra"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check and show configurations",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("config: want check, print or schema")}
		},
	}
	c.AddCommand(newConfigCheck(), newConfigPrint(), newConfigSchema())
	return c
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a configuration file, with the environment's settings",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f := runFlags{file: args[0]}
			conf, err := f.load(c.Flags())
			if err != nil {
				return err
			}
			if len(conf.Cameras) == 0 {
				return &config.Error{Where: args[0], Key: "cameras", Err: fmt.Errorf("no camera named")}
			}
			if err := lineup.Check(&conf, engine.Inspect, modelStore()); err != nil {
				return conf.Place(err)
			}
			warn(conf)
			printLine(c.OutOrStdout(), "%s: good, cameras: %d, broker %s", args[0], len(conf.Cameras), conf.MQTT.Broker)
			return nil
		},
	}
}

func newConfigPrint() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "print",
		Short: "Print every key as `run` would have it, secrets as ***",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := f.load(c.Flags())
			if err != nil {
				return err
			}
			warn(conf)
			printText(c.OutOrStdout(), conf.YAML(schemes.List()))
			return nil
		},
	}
	f.register(c)
	return c
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON schema of configuration files",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			printText(c.OutOrStdout(), config.Schema())
			return nil
		},
	}
}

// warn prints what run would log of a configuration.
func warn(c config.Config) {
	for _, w := range c.Warnings() {
		complain(errors.New("warning: " + w))
	}
}
